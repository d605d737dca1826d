//! Products and categories, through every route they have.

mod access;
mod bad_input;
mod bulk;
mod categories;
mod conditional;
mod expand;
mod idempotency;
mod lists;
mod prices;
mod products;
mod variants;
