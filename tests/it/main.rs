//! Behaviour of the platform, tested from outside, in one binary.
#![allow(clippy::unwrap_used, reason = "test code: a panic is how it reports")]

/// Makes a test of each function for each backend: both expressions make what the function takes.
macro_rules! on_each_backend {
    ($embedded:expr, $mongodb:expr; $($test:ident),* $(,)?) => {
        mod embedded {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test($embedded.await).await;
            })*
        }

        mod mongodb {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                if platform_tests::store::mongod::is_there() {
                    super::$test($mongodb.await).await;
                }
            })*
        }
    };
}

mod catalogue;
mod clients;
mod documents;
mod doors;
mod front;
mod identity;
mod operation;
mod orders;
mod plugin;
mod readme_plugin;
mod store;
