//! What may become of a charge. Pure: values in, values out.

use plugin_sdk::{
    Problem,
    payment::{Kind, Operation},
};
use serde::{Deserialize, Serialize};

use crate::token::{Token, Trouble};

/// How far the authorization of a charge has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    Authorized,
    RequiresAction,
    Pending,
    Failed,
    Canceled,
}

/// Money of one customer. Always `captured + voided ≤ authorized` and `refunded ≤ captured`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Charge {
    pub order_id: String,
    pub payment_id: String,
    pub token: String,
    pub status: Status,
    pub currency: String,
    /// What the customer agreed to, also while it is not certain.
    pub authorized: i64,
    pub captured: i64,
    pub refunded: i64,
    pub voided: i64,
}

impl Charge {
    pub fn new(operation: &Operation, token: &str, status: Status) -> Self {
        Self {
            order_id: operation.order_id.clone(),
            payment_id: operation.payment_id.clone(),
            token: token.to_owned(),
            status,
            currency: operation.amount.currency.clone(),
            authorized: operation.amount.amount,
            captured: 0,
            refunded: 0,
            voided: 0,
        }
    }

    /// What can still be captured.
    pub fn capturable(&self) -> i64 {
        if self.status == Status::Authorized { self.authorized - self.captured - self.voided } else { 0 }
    }

    /// What can still be refunded.
    pub fn refundable(&self) -> i64 {
        self.captured - self.refunded
    }

    /// What the charge's token wants to go wrong.
    pub fn trouble(&self, kind: Kind) -> Option<Trouble> {
        let (at, trouble) = Token::parse(&self.token)?.later?;
        (at == kind).then_some(trouble)
    }

    pub fn capture(&mut self, amount: i64) -> Result<(), Problem> {
        if self.status != Status::Authorized {
            return Err(Problem::conflict("The payment is not authorised."));
        }
        if amount > self.capturable() {
            return Err(Problem::new(422, "capture_exceeds_authorization")
                .detail(format!("{amount} was to be captured and {} can be.", self.capturable())));
        }
        self.captured += amount;
        Ok(())
    }

    pub fn refund(&mut self, amount: i64) -> Result<(), Problem> {
        if amount > self.refundable() {
            return Err(Problem::new(422, "refund_exceeds_capture")
                .detail(format!("{amount} was to be refunded and {} can be.", self.refundable())));
        }
        self.refunded += amount;
        Ok(())
    }

    /// Gives up what was not captured.
    pub fn void(&mut self) -> Result<(), Problem> {
        match self.status {
            Status::RequiresAction | Status::Pending => self.status = Status::Canceled,
            Status::Authorized if self.capturable() > 0 => self.voided += self.capturable(),
            Status::Authorized | Status::Failed | Status::Canceled => {
                return Err(Problem::conflict("There is nothing left to give up."));
            }
        }
        Ok(())
    }

    /// The customer has done what was asked, or has not. Whether that makes a difference.
    pub fn complete(&mut self, is_good: bool) -> bool {
        let waits = matches!(self.status, Status::RequiresAction | Status::Pending);
        if waits {
            self.status = if is_good { Status::Authorized } else { Status::Failed };
        }
        waits
    }
}
