//! Who somebody is: logging in, sessions, roles, keys, and every way around them.

pub(crate) mod access;
mod assignment;
mod audited;
mod cookies;
mod elsewhere;
mod flood;
mod guessing;
mod keys;
mod limits;
mod matrix;
mod passwords;
mod people;
mod roles;
mod sealed;
mod sessions;
mod tokens;
mod users;
