//! What only the MongoDB backend can show: other hosts, servers that fall silent or fail over.

mod failover;
mod hosts;
mod silence;
