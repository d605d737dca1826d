//! Reaching the server, and saying clearly why not.

use std::time::Duration;

use mongodb::{
    Client, Database,
    bson::{Document, doc},
    options::{ClientOptions, DatabaseOptions, ReadConcern},
};
use secrecy::ExposeSecret as _;
use tokio::time::timeout;

use super::{commit::PATIENCE, fault::Fault, transaction::durable};
use crate::store::{config::MongoConfig, error::OpenError};

/// The database when the address names none.
const DATABASE: &str = "wares";
/// How often the driver looks at each server. When one falls silent it takes this long and a connection's
/// time-out until it is given up.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// The first release with snapshot reads outside transactions: 5.0.
const WIRE_VERSION_MIN: i32 = 13;

/// Connects to a replica set and makes sure that it is one.
pub(super) async fn connect(config: &MongoConfig) -> Result<(Client, String), OpenError> {
    let options = options(config).await?;
    let hosts = options.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let database = options.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
    let unreachable =
        |hosts: &str, fault: Fault| OpenError::Unreachable { hosts: hosts.to_owned(), source: fault.into() };
    let client = Client::with_options(options.clone())
        .map_err(|error| OpenError::Address { reason: error.to_string() })?;
    let hello = match hello(&client).await {
        Ok(hello) => hello,
        Err(fault) => {
            // With the name of a replica set in the address the driver only says that it found nothing.
            return Err(match standalone(&options).await {
                Some(host) => OpenError::Standalone { hosts: host },
                None => unreachable(&hosts, fault),
            });
        }
    };
    let sharded = hello.get_str("msg").is_ok_and(|message| message == "isdbgrid");
    if !hello.contains_key("setName") && !sharded {
        return Err(OpenError::Standalone { hosts });
    }
    if hello.get_i32("maxWireVersion").unwrap_or_default() < WIRE_VERSION_MIN {
        return Err(OpenError::TooOld { hosts });
    }
    Ok((client, database))
}

/// What must not depend on the address is set here: what is acknowledged is durable on most servers, what is
/// read is too, and no call waits for half a minute.
async fn options(config: &MongoConfig) -> Result<ClientOptions, OpenError> {
    let uri = config.uri.expose_secret();
    // The driver's words may repeat parts of the address, and it may hold a password.
    let address = |error: mongodb::error::Error| OpenError::Address {
        reason: if uri.contains('@') {
            "it is not of the form mongodb://user:password@host:port,host:port/database?replicaSet=rs0, in \
             which `%`, `/`, `:`, `?`, `#`, `[`, `]` and `@` of a password are percent-encoded"
                .to_owned()
        } else {
            error.to_string()
        },
    };
    let mut options = ClientOptions::parse(uri).await.map_err(address)?;
    options.app_name.get_or_insert_with(|| "wares".to_owned());
    options.server_selection_timeout = Some(PATIENCE);
    options.connect_timeout = Some(PATIENCE);
    options.heartbeat_freq = Some(HEARTBEAT);
    options.max_pool_size.get_or_insert(config.connections);
    // Given here it would go with every read, and a session that reads one moment would not: see `majority`.
    options.read_concern = None;
    options.write_concern = Some(durable());
    options.selection_criteria = None;
    Ok(options)
}

/// A handle whose reads see what is durable on most servers. Not for sessions that read one moment: the driver sends the
/// handle's read concern instead of theirs, and every read would see another moment.
pub(super) fn majority(client: &Client, name: &str) -> Database {
    let options = DatabaseOptions::builder().read_concern(ReadConcern::majority()).build();
    client.database_with_options(name, options)
}

async fn hello(client: &Client) -> Result<Document, Fault> {
    let admin = client.database("admin");
    let hello = admin.run_command(doc! { "hello": 1 });
    Ok(timeout(2 * PATIENCE, async { hello.await }).await.map_err(|_| Fault::Late)??)
}

/// The first of the servers that answers and belongs to no replica set, or to one that was never initiated.
async fn standalone(options: &ClientOptions) -> Option<String> {
    for host in &options.hosts {
        let mut direct = options.clone();
        direct.hosts = vec![host.clone()];
        direct.repl_set_name = None;
        direct.direct_connection = Some(true);
        let client = Client::with_options(direct).ok()?;
        let hello = hello(&client).await;
        client.shutdown().immediate(true).await;
        if hello.is_ok_and(|hello| !hello.contains_key("setName")) {
            return Some(host.to_string());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn options_of(uri: &str) -> Result<ClientOptions, OpenError> {
        options(&MongoConfig::new(uri)).await
    }

    #[tokio::test]
    async fn what_the_driver_would_do_unsafely_is_set() {
        let address = "mongodb://127.0.0.1:1/shop?w=1&journal=false&readConcernLevel=local&readPreference=secondary\
                       &serverSelectionTimeoutMS=60000";
        let options = options_of(address).await.unwrap();
        assert_eq!(options.write_concern, Some(durable()));
        assert_eq!(options.read_concern, None);
        let client = Client::with_options(options.clone()).unwrap();
        assert_eq!(majority(&client, "shop").read_concern(), Some(&ReadConcern::majority()));
        assert_eq!(options.selection_criteria, None);
        assert_eq!(options.server_selection_timeout, Some(PATIENCE));
        assert_eq!(options.connect_timeout, Some(PATIENCE));
        assert_eq!(options.max_pool_size, Some(50));
    }

    #[tokio::test]
    async fn a_wrong_address_is_refused_without_its_password() {
        let error = options_of("mongodb://shop:hunter@2@db:27017/?nonsense=1").await.unwrap_err().to_string();
        assert!(error.contains("percent-encoded") && !error.contains("hunter"), "{error}");
        assert!(options_of("postgres://db").await.is_err());
    }

    #[tokio::test]
    async fn an_unreachable_server_is_named() {
        let Err(error) = connect(&MongoConfig::new("mongodb://127.0.0.1:1")).await else {
            panic!("nothing listens there");
        };
        assert!(matches!(error, OpenError::Unreachable { .. }), "{error:?}");
        assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    }
}
