//! Carts, orders and money, from outside.

mod by_example;
mod purchase;
