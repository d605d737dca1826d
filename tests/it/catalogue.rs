//! Products, categories and stock, through every route they have.

mod access;
mod availability;
mod bad_input;
mod categories;
mod conditional;
mod idempotency;
mod inventory;
mod lists;
mod products;
