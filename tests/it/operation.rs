//! The `wares` command, from outside: a process that is started, asked, stopped and killed.

mod commands;
mod disk;
mod kill;
mod reload_kill;
mod serve;
