//! Products, categories and stock, through every route they have.

mod access;
mod availability;
mod bad_input;
mod bulk;
mod categories;
mod conditional;
mod expand;
mod facets;
mod idempotency;
mod inventory;
mod lists;
mod prices;
mod products;
mod variants;
