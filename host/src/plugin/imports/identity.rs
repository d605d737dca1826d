//! `wares:identity`.

use serde_json::{Map, Value, json};

use crate::{
    chain::chain,
    codes,
    identity::{AccountError, AccountMembers, AccountPrepared, Editor, User},
    plugin::{
        bindings::wares::{
            identity::identity::{Host, Problem},
            types::types::FieldError,
        },
        instance::{CallState, Caller, CallerKind, Granted},
    },
    text::sentence,
};

type Answered<T> = wasmtime::Result<Result<T, Problem>>;

impl Host for CallState {
    async fn prepare_create(&mut self, members: Vec<u8>) -> Answered<Vec<u8>> {
        self.budget.spend(members.len())?;
        let granted = match self.identity()? {
            Ok(granted) => granted,
            Err(problem) => return Ok(Err(problem)),
        };
        let prepared = match (read(&members), granted.password_hash.clone()) {
            (Err(problem), _) => return Ok(Err(problem)),
            (_, None) => Err(AccountError::NoPassword),
            (Ok(members), Some(hash)) => {
                granted.identity.account_create_prepare(members, hash, editor(&granted.caller)).await
            }
        };
        if let Ok(prepared) = &prepared {
            granted.created = Some(prepared.user.id.clone());
        }
        Ok(prepared.map(|prepared| granted.joined(prepared)).map_err(problem))
    }

    async fn prepare_change(&mut self, id: String, changes: Vec<u8>) -> Answered<Vec<u8>> {
        self.budget.spend(id.len() + changes.len())?;
        let granted = match self.identity()? {
            Ok(granted) => granted,
            Err(problem) => return Ok(Err(problem)),
        };
        let changes = match read(&changes) {
            Ok(changes) => changes,
            Err(problem) => return Ok(Err(problem)),
        };
        let prepared = granted.identity.account_change_prepare(&id, changes, editor(&granted.caller)).await;
        Ok(prepared.map(|prepared| granted.joined(prepared)).map_err(problem))
    }

    async fn prepare_delete(&mut self, id: String) -> Answered<()> {
        self.budget.spend(id.len())?;
        let granted = match self.identity()? {
            Ok(granted) => granted,
            Err(problem) => return Ok(Err(problem)),
        };
        let prepared = granted.identity.account_delete_prepare(&id, editor(&granted.caller)).await;
        Ok(prepared.map(|writes| granted.transaction.join(writes)).map_err(problem))
    }

    async fn sessions(&mut self, id: String) -> Answered<Vec<u8>> {
        self.budget.spend(id.len())?;
        let granted = match self.identity()? {
            Ok(granted) => granted,
            Err(problem) => return Ok(Err(problem)),
        };
        let sessions = match granted.identity.account_sessions(&id, editor(&granted.caller)).await {
            Ok(sessions) => json!(sessions).to_string().into_bytes(),
            Err(error) => return Ok(Err(problem(error))),
        };
        self.budget.spend_bytes(sessions.len())?;
        Ok(Ok(sessions))
    }
}

impl CallState {
    /// What the call was granted, when accounts are among it.
    fn identity(&mut self) -> wasmtime::Result<Result<&mut Granted, Problem>> {
        if self.granted()?.grants.may_identity() {
            return self.granted().map(Ok);
        }
        self.denied = true;
        let detail = "the plugin was not granted `identity`".to_owned();
        Ok(Err(refusal("plugin_failed", detail)))
    }
}

impl Granted {
    fn joined(&self, prepared: AccountPrepared) -> Vec<u8> {
        let AccountPrepared { user, writes } = prepared;
        self.transaction.join(writes);
        shown(&user)
    }
}

fn shown(user: &User) -> Vec<u8> {
    json!(user).to_string().into_bytes()
}

fn editor(caller: &Caller) -> Editor<'_> {
    match (caller.kind, &caller.subject) {
        (CallerKind::System, _) => Editor::Host,
        (CallerKind::Admin | CallerKind::Service, _) => Editor::Staff(&caller.permissions),
        (CallerKind::Customer, Some(id)) => Editor::Customer(id),
        (CallerKind::Customer | CallerKind::Anonymous, _) => Editor::Anonymous,
    }
}

fn read(members: &[u8]) -> Result<AccountMembers, Problem> {
    let value: Map<String, Value> = serde_json::from_slice(members).map_err(malformed)?;
    serde_json::from_value(Value::Object(value)).map_err(malformed)
}

/// The plugin's fault, and told as that.
fn malformed(error: serde_json::Error) -> Problem {
    refusal("plugin_failed", format!("the members of the account are not what they must be: {error}"))
}

fn refusal(code: &str, detail: String) -> Problem {
    let status = codes::code(code).map_or(500, |code| code.status);
    Problem { status, code: code.to_owned(), detail: Some(detail), errors: Vec::new(), extras: None }
}

fn problem(error: AccountError) -> Problem {
    if matches!(error, AccountError::Read(_) | AccountError::Store(_) | AccountError::Internal) {
        tracing::warn!(cause = %chain(&error), "An account could not be prepared");
        return refusal("unavailable", "The accounts cannot be reached now.".to_owned());
    }
    let message = sentence(&error.to_string());
    let mut refusal = refusal(error.code(), message.clone());
    refusal.errors.extend(error.member().map(|member| FieldError {
        pointer: format!("/{member}"),
        code: error.code().to_owned(),
        message,
    }));
    refusal
}
