//! The stock that a file tells, one adjustment per SKU.
//!
//! The keys of the adjustments are made of the import's id, so that an import that goes on does not add what it has added
//! before. Where the record of a key is gone, 24 hours later, the level itself tells: it exists, or it is what it should be.

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use serde_json::json;

use super::{
    Count, Draft, ImportError, Mistake, StockMode,
    answers::{Refusal, escaped},
};
use crate::seed::SystemApi;

/// Adjustments side by side: enough for the store to put several into one commit to disk.
const PARALLEL: usize = 16;

/// Most times that an adjustment is tried.
const TRIES: u32 = 3;

enum Outcome {
    Stocked,
    Left,
    Refused(Mistake),
}

/// Adjusts the stock of these products; answers how many SKUs were, and what was refused.
pub(super) async fn adjust(
    api: &impl SystemApi,
    import: &str,
    mode: StockMode,
    drafts: &[&Draft],
) -> Result<(u64, Vec<(u64, Mistake)>), ImportError> {
    let counts = drafts.iter().flat_map(|draft| draft.stock.iter().map(move |count| (*draft, count)));
    let adjusting = counts.map(|(draft, count)| async move {
        let outcome = one(api, import, mode, draft, count).await?;
        Ok::<_, ImportError>((draft.index, outcome))
    });
    // Boxed: the compiler cannot prove otherwise that the futures of a stream of closures may be sent.
    let adjusting: Vec<_> = adjusting.map(FutureExt::boxed).collect();
    let outcomes: Vec<(u64, Outcome)> = stream::iter(adjusting).buffered(PARALLEL).try_collect().await?;
    let (mut stocked, mut mistakes) = (0, Vec::new());
    for (index, outcome) in outcomes {
        match outcome {
            Outcome::Stocked => stocked += 1,
            Outcome::Left => {}
            Outcome::Refused(mistake) => mistakes.push((index, mistake)),
        }
    }
    Ok((stocked, mistakes))
}

async fn one(
    api: &impl SystemApi,
    import: &str,
    mode: StockMode,
    draft: &Draft,
    count: &Count,
) -> Result<Outcome, ImportError> {
    let (delta, reason, condition) = match mode {
        StockMode::Leave => return Ok(Outcome::Left),
        // Version 0 is that of a level which does not exist.
        StockMode::New => (count.on_hand, "received", Some("\"0\"")),
        StockMode::Set => match missing(api, count).await? {
            Some(delta) => (delta, "counted", None),
            None => return Ok(Outcome::Left),
        },
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(format!("{import} {} {}", draft.index, count.sku).as_bytes());
    let key = format!("import-{}", &hasher.finalize().to_hex()[..32]);
    let mut headers = vec![("Idempotency-Key", key.as_str())];
    headers.extend(condition.map(|tag| ("If-Match", tag)));
    let body = json!({"sku": count.sku, "delta": delta, "reason": reason, "reference": "import"});
    let mut tries = 0;
    loop {
        let answer = api.request_with("POST", "/inventory/adjustments", Some(body.clone()), &headers).await?;
        tries += 1;
        let refusal = match answer {
            (200, _) => return Ok(Outcome::Stocked),
            (status, problem) => Refusal::of(status, &problem),
        };
        match (refusal.status, refusal.code.as_str()) {
            // There is a level, which is left alone.
            (412, _) if mode == StockMode::New => return Ok(Outcome::Left),
            // The run that this one continues has set it, and something was sold since.
            (_, "idempotency_key_reused") => return Ok(Outcome::Left),
            _ if refusal.is_trouble() && tries < TRIES => super::send::pause(tries).await,
            _ if refusal.is_busy() => return Err(refusal.ends("POST /inventory/adjustments")),
            _ => {
                let mut mistake = refusal.mistakes(draft, "").swap_remove(0);
                let at = draft.mistake(&count.pointer, "", "");
                (mistake.pointer, mistake.column) = (at.pointer, at.column);
                (mistake.row, mistake.line) = (count.place.row, count.place.line);
                return Ok(Outcome::Refused(mistake));
            }
        }
    }
}

/// How many pieces are missing to what the file says; none where it is so already.
async fn missing(api: &impl SystemApi, count: &Count) -> Result<Option<i64>, ImportError> {
    let path = format!("/inventory/{}", escaped(&count.sku));
    match api.request("GET", &path, None).await? {
        (200, level) => {
            let delta = count.on_hand - level["onHand"].as_i64().unwrap_or_default();
            Ok((delta != 0).then_some(delta))
        }
        (404, _) => Ok(Some(count.on_hand)),
        (status, problem) => Err(Refusal::of(status, &problem).ends(&format!("GET {path}"))),
    }
}
