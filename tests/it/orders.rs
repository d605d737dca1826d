//! Carts, orders and money, from outside.

mod crash;
mod purchase;
