//! How much the randomised suites do. `WARES_TEST_EXTENDED=1` runs the long versions.

/// A size in the usual and in the extended run.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    usual: u32,
    extended: u32,
}

impl Size {
    pub fn get(self) -> u32 {
        if is_extended() { self.extended } else { self.usual }
    }
}

/// Queries that are compared with the model.
pub const DIFFERENTIAL_PAIRS: Size = Size { usual: 2_000, extended: 50_000 };
pub const DIFFERENTIAL_PAIRS_MONGODB: Size = Size { usual: 2_000, extended: 50_000 };
/// Carts that are priced by components and in native code.
pub const SAME_PRICES: Size = Size { usual: 100, extended: 5_000 };
/// Times a writing process is killed.
pub const KILLS: Size = Size { usual: 100, extended: 1_000 };
/// Damaged database files.
pub const DAMAGES: Size = Size { usual: 100, extended: 2_000 };
/// How long a server is silent.
pub const SILENCE_SECONDS: Size = Size { usual: 5, extended: 20 };
/// Times the primary of a replica set is killed.
pub const FAILOVERS: Size = Size { usual: 0, extended: 20 };
/// The same while people buy.
pub const BUYER_FAILOVERS: Size = Size { usual: 1, extended: 20 };
/// Seconds in which its nodes are restarted in turn.
pub const RESTART_SECONDS: Size = Size { usual: 0, extended: 60 };
/// Rounds of paging while documents come and go.
pub const PAGING_ROUNDS: Size = Size { usual: 20, extended: 500 };
/// Components with one bit turned.
pub const BIT_FLIPS: Size = Size { usual: 600, extended: 20_000 };
/// Swaps of a plugin under load.
pub const SWAPS: Size = Size { usual: 20, extended: 100 };
/// Reloads after which nothing of the old generations is left.
pub const RELOADS: Size = Size { usual: 30, extended: 1_000 };
/// Times a server is killed while it loads a new version.
pub const RELOAD_KILLS: Size = Size { usual: 5, extended: 200 };
/// Rounds in which requests race for the same documents.
pub const RACE_ROUNDS: Size = Size { usual: 40, extended: 1_000 };
/// Idempotency keys that are used at once, and how often each.
pub const KEYS: Size = Size { usual: 50, extended: 200 };
pub const DUPLICATES: Size = Size { usual: 8, extended: 50 };
/// Pieces in a sale, those who want one each, and how often there is one.
pub const SALE_PIECES: Size = Size { usual: 20, extended: 100 };
pub const SALE_BUYERS: Size = Size { usual: 100, extended: 500 };
pub const SALES: Size = Size { usual: 2, extended: 20 };
/// Orders of several of fifty SKUs that are made at once.
pub const MIXED_ORDERS: Size = Size { usual: 60, extended: 2_000 };
/// Rounds in which two want what only one can have.
pub const DUELS: Size = Size { usual: 6, extended: 100 };
/// Keys of orders that are sent at once, and how often each.
pub const ORDER_KEYS: Size = Size { usual: 20, extended: 200 };
pub const ORDER_DUPLICATES: Size = Size { usual: 8, extended: 50 };
/// Windows of operations on one SKU whose history is checked.
pub const LINEAR_WINDOWS: Size = Size { usual: 4, extended: 200 };
/// Swaps of what prices carts, while carts are ordered.
pub const CHECKOUT_SWAPS: Size = Size { usual: 6, extended: 100 };
/// Times a serving process is killed.
pub const SERVER_KILLS: Size = Size { usual: 10, extended: 200 };
/// How often a host dies at each boundary between two writes of an order's operations.
pub const CRASHES: Size = Size { usual: 1, extended: 3 };
/// The same on MongoDB, where each takes a database of its own.
pub const CRASHES_MONGODB: Size = Size { usual: 1, extended: 2 };
/// Times a serving process is killed while many buy the same.
pub const BUYER_KILLS: Size = Size { usual: 3, extended: 200 };
/// The same on MongoDB, where what a dead host was writing stays locked for a minute.
pub const BUYER_KILLS_MONGODB: Size = Size { usual: 1, extended: 20 };
/// Damaged backups.
pub const DAMAGED_BACKUPS: Size = Size { usual: 500, extended: 20_000 };
/// Times a restoring process is killed.
pub const RESTORE_KILLS: Size = Size { usual: 4, extended: 100 };

/// Connections that say nothing, or half a request.
pub const SILENT_CLIENTS: Size = Size { usual: 200, extended: 4_000 };

/// Requests that schemathesis makes up for each operation, besides those that it derives from the document.
pub const SCHEMATHESIS_EXAMPLES: Size = Size { usual: 5, extended: 200 };

/// People who register.
pub const PEOPLE: Size = Size { usual: 8, extended: 208 };

pub fn is_extended() -> bool {
    std::env::var("WARES_TEST_EXTENDED").is_ok_and(|value| value == "1")
}
