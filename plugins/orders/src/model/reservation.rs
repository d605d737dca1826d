//! The stock that orders hold.

use serde::{Deserialize, Serialize};

/// The stock that an order holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredReservation {
    pub order_id: String,
    pub state: ReservationState,
    /// What is held still: shipped pieces are taken off.
    pub items: Vec<ReservedItem>,
    /// From when on it no longer counts; null once the order is confirmed.
    pub expires_at: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReservationState {
    /// Until it expires.
    Held,
    /// Of a confirmed order, until it is sent or cancelled.
    Committed,
    /// Given back.
    Released,
    /// All is sent.
    Consumed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReservedItem {
    pub sku: String,
    pub quantity: i64,
}
