//! Carts, orders and money, from outside.

mod by_example;
mod coupons;
mod crash;
mod linear;
mod lists;
mod lookups;
mod offers;
mod purchase;
mod refused;
mod repeats;
mod retries;
mod rules;
mod stock;
mod stripe;
mod swaps;
mod unanswered;
mod webhooks;
