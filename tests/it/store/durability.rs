//! D1 and D3: what was acknowledged survives a kill, and a damaged file is refused and never trusted.

mod damage;
mod kill;
