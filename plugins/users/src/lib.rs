//! The people of the shop: the endpoints of accounts, and what is kept of a person beside the account.
//!
//! The host owns accounts: e-mail address, name, password, status, roles, groups. It decides who may set what of them and
//! keeps customers to themselves. The plugin owns the collection `users`: a [`Profile`](model::Profile) with the account's
//! id, which holds metadata and saved addresses, and whose version is the user's. Lists are lists of accounts; an account
//! that was made by a command has no profile before its first change.
//!
//! Every change writes the profile in the commit that the account joins, so that both change together, and of two changes
//! at once the second is made anew on what the first left.

mod addresses;
mod handlers;
pub mod model;
mod routes;

#[cfg(test)]
mod tests;

use plugin_sdk::{Capability, Collection, Permission, Plugin, Router, export_plugin};

/// The collection of profiles.
pub(crate) const PROFILES: &str = "users";

/// The plugin.
pub struct Users;

impl Plugin for Users {
    const ID: &'static str = "users";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "Users";

    fn routes(router: &mut Router) {
        routes::users(router);
        routes::own(router);
        routes::addresses(router);
    }

    fn collections() -> Vec<Collection> {
        vec![Collection::new(PROFILES, "usr").owner("_owner")]
    }

    fn permissions() -> Vec<Permission> {
        vec![
            Permission { name: "users:read", description: "See customers and staff." },
            Permission {
                name: "users:write",
                description: "Make, change and delete accounts, within what one may do oneself.",
            },
        ]
    }

    fn capabilities() -> Vec<Capability> {
        vec![Capability::identity()]
    }
}

export_plugin!(Users);
