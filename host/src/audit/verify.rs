//! Whether the log is what was sealed.

use serde::{Deserialize, Serialize};
use store_model::{Filter, Query, Scalar, SortKey};

use super::{AuditLog, Head, SEALS, Seal, entry_hash, read};
use crate::store::{ReadError, audit};

/// Seals read at once.
const PAGE: u32 = 50;
/// Most problems that are told one by one.
const TOLD: usize = 100;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditReport {
    pub seals: u64,
    pub sealed_entries: u64,
    /// Entries that no seal covers yet.
    pub unsealed_entries: u64,
    /// Nothing when all is well.
    pub problems: Vec<String>,
}

impl AuditReport {
    fn problem(&mut self, text: String) {
        if self.problems.len() < TOLD {
            self.problems.push(text);
        }
    }
}

impl AuditLog {
    /// Compares the whole log with its seals.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn verify(&self) -> Result<AuditReport, ReadError> {
        let mut report = AuditReport::default();
        let head = self.remembered();
        let sort = vec![SortKey::ascending("number")];
        let mut query = Query { sort, limit: PAGE, ..Query::default() };
        let mut before: Option<Seal> = None;
        loop {
            let page = self.store.document_find(SEALS, &query).await?;
            for document in &page.documents {
                let Some(seal) = read(document) else {
                    report.problem(format!("`{}` is not a seal any more", document.id));
                    continue;
                };
                self.check_chain(before.as_ref(), &seal, &mut report);
                self.check_entries(&seal, &mut report).await?;
                if let Some(head) = head.as_ref().filter(|head| head.number == seal.number)
                    && head.hash != seal.hash
                {
                    report.problem(format!("seal {} is not the one that this host made", seal.number));
                }
                report.seals += 1;
                before = Some(seal);
            }
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => break,
            }
        }
        self.check_end(before.as_ref(), head.as_ref(), &mut report);
        let unsealed = Filter::Eq("seal".to_owned(), Scalar::Null);
        report.unsealed_entries = self.store.document_count(audit::COLLECTION, &unsealed, None).await?;
        Ok(report)
    }

    fn check_chain(&self, before: Option<&Seal>, seal: &Seal, report: &mut AuditReport) {
        let expected = before.map_or(1, |before| before.number + 1);
        if seal.number != expected {
            let last = seal.number.saturating_sub(1);
            report.problem(format!("the seals {expected} to {last} were removed"));
        }
        let previous = before.map_or("", |before| before.hash.as_str());
        if seal.number == expected && seal.previous != previous {
            report.problem(format!(
                "seal {} does not follow the one before: seals were replaced or reordered",
                seal.number
            ));
        }
        if seal.computed_hash() != seal.hash {
            report.problem(format!("seal {} was changed", seal.number));
        }
        // Of an unknown key the seals after it tell: each holds the hash of the one before.
        let key = self.keys.iter().find(|key| key.id == seal.key_id);
        let genuine = |key: &super::SealKey| {
            blake3::Hash::from_hex(&seal.mac).is_ok_and(|mac| mac == key.mac(&seal.hash))
        };
        if key.is_some_and(|key| !genuine(key)) {
            report.problem(format!("seal {} was not made with the key", seal.number));
        }
    }

    async fn check_entries(&self, seal: &Seal, report: &mut AuditReport) -> Result<(), ReadError> {
        let ids: Vec<String> = seal.entries.iter().map(|(id, _)| id.clone()).collect();
        let found = self.store.document_get_many(audit::COLLECTION, &ids, None).await?;
        for ((id, hash), document) in seal.entries.iter().zip(&found) {
            match document {
                None => report.problem(format!("entry `{id}` of seal {} was removed", seal.number)),
                Some(document) if entry_hash(&document.json) != *hash => {
                    report.problem(format!("entry `{id}` of seal {} was changed", seal.number));
                }
                Some(_) => report.sealed_entries += 1,
            }
        }
        let number = i64::try_from(seal.number).unwrap_or(i64::MAX);
        let marked = Filter::Eq("seal".to_owned(), Scalar::Integer(number));
        let there = self.store.document_count(audit::COLLECTION, &marked, None).await?;
        let listed = found.iter().flatten().count() as u64;
        if there > listed {
            report.problem(format!("{} entries were added below seal {}", there - listed, seal.number));
        }
        if there < listed {
            report.problem(format!("{} entries do not name their seal {}", listed - there, seal.number));
        }
        Ok(())
    }

    fn check_end(&self, last: Option<&Seal>, head: Option<&Head>, report: &mut AuditReport) {
        let number = last.map_or(0, |seal| seal.number);
        if let Some(head) = head.filter(|head| head.number > number) {
            report.problem(format!(
                "the log was cut off: the seals {} to {} are gone",
                number + 1,
                head.number
            ));
        }
        if let Some(last) = last.filter(|last| !self.keys.iter().any(|key| key.id == last.key_id)) {
            report.problem(format!(
                "seal {} and those before it cannot be proven: their key is not configured",
                last.number
            ));
        }
    }

    fn remembered(&self) -> Option<Head> {
        let text = std::fs::read_to_string(&self.head).ok()?;
        serde_json::from_str(&text).ok()
    }
}
