//! What the gateway remembers: an entry per idempotency key, and the charges.

use plugin_sdk::{
    Context, Problem, StoreError, Stored, natural_id,
    payment::{Kind, Operation, PaymentError},
};
use serde::{Deserialize, Serialize};

use crate::{CHARGES, DECLINED, OPERATIONS, rules::Charge, token::Trouble};

/// Most times that one operation looks and commits again after somebody else was faster.
const TRIES_MAX: u32 = 16;

/// What was asked under an idempotency key, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) kind: String,
    /// The id of the charge.
    pub(crate) reference: String,
    amount: i64,
    currency: String,
    /// Of authorizations.
    token: Option<String>,
    /// Why nothing was done.
    pub(crate) declined: Option<String>,
}

/// What has become of an operation.
pub(crate) enum Done {
    /// By this call.
    Now(Entry, Option<Charge>),
    /// By an earlier one with the same key.
    Before(Entry, Option<Charge>),
}

/// What the sandbox calls the payment that this authorization makes.
pub(crate) fn reference(operation: &Operation) -> String {
    natural_id("sbc", &operation.idempotency_key)
}

/// Makes a charge, or notes that there is none because the customer was refused.
pub(crate) fn open(
    ctx: &Context<'_>,
    operation: &Operation,
    charge: Option<Charge>,
    refusal: Option<&str>,
) -> Result<Done, PaymentError> {
    let mut entry = Entry::new(Kind::Authorization, operation, reference(operation));
    entry.declined = refusal.map(str::to_owned);
    let mut commit = ctx.commit();
    commit.insert_with_id(OPERATIONS, &id(operation), &entry);
    if let Some(charge) = &charge {
        commit.insert_with_id(CHARGES, &entry.reference, charge);
    }
    match commit.apply() {
        Ok(_) => Ok(Done::Now(entry, charge)),
        Err(error) if error.refusal().is_some() => match look_up(ctx, Kind::Authorization, operation)? {
            Some((entry, charge)) => Ok(Done::Before(entry, charge)),
            None => Err(PaymentError::Invalid(error.into())),
        },
        Err(error) => Err(uncertain(error)),
    }
}

/// Changes the charge that the operation refers to.
pub(crate) fn change(
    ctx: &Context<'_>,
    kind: Kind,
    operation: &Operation,
    rule: impl Fn(&mut Charge) -> Result<(), Problem>,
) -> Result<Done, PaymentError> {
    let unknown = || Problem::not_found().detail("The sandbox knows no payment of this reference.");
    let reference = operation.reference.as_deref().ok_or_else(|| PaymentError::Invalid(unknown()))?;
    for _ in 0..TRIES_MAX {
        // The charge before the entry: a charge that has the change already is then never changed again.
        let stored = stored_charge(ctx, reference)?;
        if let Some((entry, charge)) = look_up(ctx, kind, operation)? {
            return Ok(Done::Before(entry, charge));
        }
        let Stored { version, data: mut charge, .. } =
            stored.ok_or_else(|| PaymentError::Invalid(unknown()))?;
        if charge.currency != operation.amount.currency {
            let problem = Problem::new(409, "currency_mismatch")
                .detail(format!("The payment is in {}.", charge.currency));
            return Err(PaymentError::Invalid(problem));
        }
        rule(&mut charge).map_err(PaymentError::Invalid)?;

        let mut entry = Entry::new(kind, operation, reference.to_owned());
        let mut commit = ctx.commit();
        if charge.trouble(kind) == Some(Trouble::Decline) {
            entry.declined = Some(DECLINED.to_owned());
        } else {
            let changed = commit.replace(CHARGES, reference, &charge);
            commit.expect_version(changed, version);
        }
        commit.insert_with_id(OPERATIONS, &id(operation), &entry);
        match commit.apply() {
            Ok(_) => return Ok(Done::Now(entry, Some(charge))),
            // Somebody else changed the charge, or did the same.
            Err(error) if error.refusal().is_some() => {}
            Err(error) => return Err(uncertain(error)),
        }
    }
    Err(PaymentError::Invalid(Problem::conflict("Others keep changing this payment. Try again in a moment.")))
}

/// What is known of the operation's key. Refuses a key that was used for something else.
pub(crate) fn look_up(
    ctx: &Context<'_>,
    kind: Kind,
    operation: &Operation,
) -> Result<Option<(Entry, Option<Charge>)>, PaymentError> {
    let entry = ctx.get::<Entry>(OPERATIONS, &id(operation)).map_err(unread)?;
    let Some(Stored { data: entry, .. }) = entry else { return Ok(None) };
    if !entry.is_same(kind, operation) {
        let problem = Problem::new(422, "idempotency_key_reused")
            .detail("The idempotency key was used for another operation.");
        return Err(PaymentError::Invalid(problem));
    }
    let charge = stored_charge(ctx, &entry.reference)?.map(|charge| charge.data);
    Ok(Some((entry, charge)))
}

/// A charge as it is stored.
pub(crate) fn stored_charge(
    ctx: &Context<'_>,
    reference: &str,
) -> Result<Option<Stored<Charge>>, PaymentError> {
    // No id looks otherwise, and the reference is whatever the caller was told, or says.
    let is_id = reference.len() == 30 && reference.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_');
    if is_id { ctx.get(CHARGES, reference).map_err(unread) } else { Ok(None) }
}

impl Entry {
    fn new(kind: Kind, operation: &Operation, reference: String) -> Self {
        Self {
            kind: kind.as_str().to_owned(),
            reference,
            amount: operation.amount.amount,
            currency: operation.amount.currency.clone(),
            token: operation.token.clone().filter(|_| kind == Kind::Authorization),
            declined: None,
        }
    }

    /// Whether the operation asks for what this entry is about. An authorization makes its reference and is not asked
    /// for one.
    fn is_same(&self, kind: Kind, operation: &Operation) -> bool {
        let reference = match (kind, &operation.reference) {
            (Kind::Authorization, _) | (_, None) => self.reference.clone(),
            (_, Some(reference)) => reference.clone(),
        };
        *self == Self { declined: self.declined.clone(), ..Self::new(kind, operation, reference) }
    }
}

fn id(operation: &Operation) -> String {
    natural_id("sbo", &operation.idempotency_key)
}

/// Nothing was done yet.
fn unread(error: StoreError) -> PaymentError {
    PaymentError::Invalid(error.into())
}

/// A commit that was not answered may have happened.
fn uncertain(error: StoreError) -> PaymentError {
    match error {
        StoreError::Unavailable(why) => PaymentError::Unknown(why),
        other => PaymentError::Invalid(other.into()),
    }
}
