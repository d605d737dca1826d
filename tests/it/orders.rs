//! Carts, orders and money, from outside.

mod purchase;
