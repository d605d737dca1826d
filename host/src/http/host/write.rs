//! `Idempotency-Key` on the host's own operations: the answer goes with the commit, and a repeat gets it again.

use axum::response::Response;

use super::{Call, answer::of_commit};
use crate::{
    app::App,
    http::{
        access::caller_of,
        error::ApiError,
        idempotency::{self, InFlight, Known},
    },
    identity::Principal,
    store::Transaction,
};

/// A write that goes on, or the answer of the first request with its key.
pub(crate) enum Begun {
    New(Box<Begin>),
    Answered(Response),
}

/// A write that nobody made before.
pub(crate) struct Begin {
    pub(crate) transaction: Transaction,
    /// Held until the answer is on its way.
    _in_flight: Option<InFlight>,
}

impl Call {
    /// Begins a write after its body was read.
    ///
    /// # Errors
    /// What is wrong with the key.
    pub(crate) async fn begin(
        &self,
        app: &App,
        principal: &Principal,
        operation_id: &str,
    ) -> Result<Begun, ApiError> {
        let request = format!("{} {}", self.method, self.path);
        let key = idempotency::given(app, &self.headers, &request, &self.bytes, &caller_of(principal))?;
        let in_flight = key.as_ref().map(|key| app.in_flight().enter(key)).transpose()?;
        let key = match key {
            Some(key) => match idempotency::look_up(app, key).await? {
                Known::New(key) => Some(key),
                Known::Answered(answer) => return of_commit(app, answer, true).map(Begun::Answered),
            },
            None => None,
        };
        let transaction = self.transaction(principal, operation_id, key);
        Ok(Begun::New(Box::new(Begin { transaction, _in_flight: in_flight })))
    }
}

impl Begin {
    /// What the commit answered.
    ///
    /// # Errors
    /// `internal`, if it carried no answer.
    pub(crate) async fn answer(self, app: &App) -> Result<Response, ApiError> {
        match self.transaction.settle().await.answer {
            Some(answer) => of_commit(app, answer, false),
            None => Err(ApiError::new("internal", "The request could not be answered.")),
        }
    }
}
