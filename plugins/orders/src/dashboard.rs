//! The shop's figures, counted by the store.

#[cfg(test)]
mod tests;

use std::{cmp::Reverse, collections::BTreeMap};

use plugin_sdk::{
    Aggregate, AggregateRow, Context, Filter, GroupKey, Level, Measure, Money, Problem, Query, Reply,
    Request, Result, Scalar, SortKey, StoreError,
    time::{normalised, timestamp, unix_ms},
};
use serde::Deserialize;

use crate::{
    Config, INVENTORY, ORDERS, ledger,
    model::{BestSeller, CurrencyFigures, Dashboard, DayFigures, LowStock, OrderStatus, StatusCount},
    stock,
};

const DAY_MS: i64 = 86_400_000;
const DEFAULT_DAYS: i64 = 30;
const DAYS_MAX: i64 = 366;
/// The first moment whose text sorts as time.
const YEAR_0_MS: i64 = -62_167_219_200_000;
/// Most groups of one answer of the store.
const GROUPS: u32 = 1_000;
/// Most answers of the store about what is sold best.
const PIECES_MAX: usize = 200;
const BEST: usize = 10;
const LOW_MAX: u32 = 100;

/// Orders that count as sold.
const SOLD: [OrderStatus; 4] =
    [OrderStatus::Confirmed, OrderStatus::Processing, OrderStatus::OnHold, OrderStatus::Completed];

pub(crate) fn read(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let config: Config = ctx.config();
    let period = Period::asked(ctx, &request)?;
    let statuses = by_status(ctx, &period)?;
    let mut currencies = Vec::with_capacity(statuses.len());
    let mut all = BTreeMap::<&str, i64>::new();
    for (currency, counts) in &statuses {
        for (status, count, _) in counts {
            *all.entry(ledger::name(*status)).or_default() += count;
        }
        let sold = counts.iter().filter(|(status, ..)| SOLD.contains(status));
        let (count, revenue) = sold.fold((0, 0_i64), |(count, revenue), (_, more, brought)| {
            (count + more, revenue.saturating_add(*brought))
        });
        let days = GroupKey::Day { path: "placedAt".to_owned(), offset_minutes: config.time_zone_minutes };
        let days = ctx.aggregate(ORDERS, &sums(period.sold(currency), vec![days]))?;
        currencies.push(CurrencyFigures {
            revenue: Money::new(revenue, currency),
            order_count: count,
            average: Money::new(average(revenue, count), currency),
            orders: counts.iter().map(|&(status, count, _)| StatusCount { status, count }).collect(),
            days: days.iter().filter_map(|row| day(row, currency)).collect(),
            best_sellers: best_sellers(ctx, &period, currency)?,
            currency: currency.clone(),
        });
    }
    let orders =
        all.into_iter().filter_map(|(name, count)| Some(StatusCount { status: status(name)?, count }));
    Ok(Reply::ok(&Dashboard {
        orders: orders.collect(),
        currencies,
        low_stock: low_stock(ctx, config.low_stock)?,
        from: timestamp(period.from),
        to: timestamp(period.to),
    }))
}

/// From when on and until when, in Unix milliseconds.
#[derive(Clone, Copy)]
struct Period {
    from: i64,
    to: i64,
}

impl Period {
    fn asked(ctx: &Context<'_>, request: &Request) -> Result<Self> {
        let moment = |name: &str| match request.query(name) {
            None => Ok(None),
            Some(text) => match normalised(text).as_deref().and_then(unix_ms) {
                Some(moment) => Ok(Some(moment)),
                None => Err(Problem::invalid_parameter(name, "It is no RFC 3339 time.")),
            },
        };
        let to = moment("to")?.unwrap_or(ctx.now_ms());
        let from = moment("from")?.unwrap_or((to - DEFAULT_DAYS * DAY_MS).max(YEAR_0_MS));
        if from >= to {
            return Err(Problem::invalid_parameter("from", "The period ends before it begins."));
        }
        if to - from > DAYS_MAX * DAY_MS {
            let message = format!("The period has more than {DAYS_MAX} days.");
            return Err(Problem::invalid_parameter("from", message));
        }
        Ok(Self { from, to })
    }

    fn conditions(&self) -> Vec<Filter> {
        vec![
            Filter::Gte("placedAt".to_owned(), timestamp(self.from).into()),
            Filter::Lt("placedAt".to_owned(), timestamp(self.to).into()),
            Filter::eq("_hidden", false),
        ]
    }

    /// What was sold in it for a currency.
    fn sold(&self, currency: &str) -> Filter {
        let mut conditions = self.conditions();
        let statuses = SOLD.map(|status| ledger::name(status).into()).to_vec();
        conditions.push(Filter::In("status".to_owned(), statuses));
        conditions.push(Filter::eq("currency", currency));
        Filter::And(conditions)
    }

    /// Its two halves, where it has any.
    fn halves(&self) -> Option<[Self; 2]> {
        let middle = self.from + (self.to - self.from) / 2;
        let halves = [Self { from: self.from, to: middle }, Self { from: middle, to: self.to }];
        (middle > self.from).then_some(halves)
    }
}

/// How many orders and what they come to, by group.
fn sums(filter: Filter, group: Vec<GroupKey>) -> Aggregate {
    Aggregate {
        filter,
        unwind: None,
        group,
        measures: vec![Measure::Count, Measure::Sum("totals.grand.amount".to_owned())],
        scope: None,
        limit: GROUPS,
    }
}

/// Rounded half up.
fn average(sum: i64, count: i64) -> i64 {
    let (sum, count) = (i128::from(sum), i128::from(count.max(1)));
    i64::try_from((2 * sum + count).div_euclid(2 * count)).unwrap_or(i64::MAX)
}

fn day(row: &AggregateRow, currency: &str) -> Option<DayFigures> {
    match (row.key.as_slice(), row.measures.as_slice()) {
        ([Scalar::Text(day)], [Scalar::Integer(count), Scalar::Integer(revenue)]) => Some(DayFigures {
            day: day.clone(),
            revenue: Money::new(*revenue, currency),
            order_count: *count,
        }),
        _ => None,
    }
}

/// How many orders of each currency are in each status, and what they come to.
type Statuses = BTreeMap<String, Vec<(OrderStatus, i64, i64)>>;

fn by_status(ctx: &Context<'_>, period: &Period) -> Result<Statuses> {
    let by = ["currency", "status"].map(|path| GroupKey::Field(path.to_owned())).to_vec();
    let rows = ctx.aggregate(ORDERS, &sums(Filter::And(period.conditions()), by))?;
    let mut statuses = Statuses::new();
    for row in rows {
        if let ([Scalar::Text(currency), Scalar::Text(name)], [Scalar::Integer(count), Scalar::Integer(sum)]) =
            (row.key.as_slice(), row.measures.as_slice())
            && let Some(status) = status(name)
        {
            statuses.entry(currency.clone()).or_default().push((status, *count, *sum));
        }
    }
    Ok(statuses)
}

fn status(name: &str) -> Option<OrderStatus> {
    serde_json::from_value(name.into()).ok()
}

/// Which SKUs most pieces were sold of.
///
/// The store answers a limited number of groups, and which SKU is the best shows only when all are there. So a period
/// with more is asked about in halves, whose sums add up.
fn best_sellers(ctx: &Context<'_>, period: &Period, currency: &str) -> Result<Vec<BestSeller>> {
    let mut sold = BTreeMap::<String, (i64, i64, String)>::new();
    let mut waiting = vec![*period];
    let mut asked = 0;
    while let Some(period) = waiting.pop() {
        let rows = ctx.aggregate(ORDERS, &by_sku(period.sold(currency)))?;
        asked += 1;
        if rows.len() >= GROUPS as usize {
            match period.halves().filter(|_| asked + waiting.len() + 2 <= PIECES_MAX) {
                Some(halves) => {
                    waiting.extend(halves);
                    continue;
                }
                None => {
                    ctx.log(Level::Warn, "Too many SKUs were sold to tell the best of all", &[]);
                }
            }
        }
        for row in rows {
            let ([Scalar::Text(sku)], [Scalar::Integer(quantity), Scalar::Integer(revenue), name]) =
                (row.key.as_slice(), row.measures.as_slice())
            else {
                continue;
            };
            // Imported lines may have none.
            if sku.is_empty() {
                continue;
            }
            let sums = sold.entry(sku.clone()).or_default();
            sums.0 = sums.0.saturating_add(*quantity);
            sums.1 = sums.1.saturating_add(*revenue);
            if let Scalar::Text(name) = name
                && *name > sums.2
            {
                sums.2.clone_from(name);
            }
        }
    }
    let mut best: Vec<_> = sold.into_iter().collect();
    // Those of equal quantity by what they brought, and then by their name.
    best.sort_by_key(|(_, (quantity, revenue, _))| Reverse((*quantity, *revenue)));
    best.truncate(BEST);
    let best = best.into_iter().map(|(sku, (quantity, revenue, name))| BestSeller {
        sku,
        name,
        quantity,
        revenue: Money::new(revenue, currency),
    });
    Ok(best.collect())
}

fn by_sku(filter: Filter) -> Aggregate {
    Aggregate {
        filter,
        unwind: Some("items".to_owned()),
        group: vec![GroupKey::Field("items.sku".to_owned())],
        measures: vec![
            Measure::Sum("items.quantity".to_owned()),
            Measure::Sum("items.total.amount".to_owned()),
            Measure::Max("items.name".to_owned()),
        ],
        scope: None,
        limit: GROUPS,
    }
}

#[derive(Deserialize)]
struct Counted {
    sku: String,
    reserved: i64,
    available: i64,
}

fn low_stock(ctx: &Context<'_>, low: i64) -> Result<Vec<LowStock>, StoreError> {
    let query = Query {
        filter: Filter::Lte("available".to_owned(), low.into()),
        sort: vec![SortKey::ascending("available")],
        limit: LOW_MAX,
        fields: ["sku", "reserved", "available"].map(str::to_owned).to_vec(),
        ..Query::default()
    };
    let levels: Vec<Counted> = ctx.find(INVENTORY, &query)?.items.into_iter().map(|it| it.data).collect();
    let held = levels.iter().filter(|level| level.reserved > 0).map(|level| level.sku.as_str());
    let expired = stock::expired_pieces(ctx, held)?;
    let mut scarce: Vec<LowStock> = levels
        .into_iter()
        .map(|level| {
            let free = expired.get(&level.sku).copied().unwrap_or_default();
            LowStock { available: level.available + free, sku: level.sku }
        })
        .filter(|level| level.available <= low)
        .collect();
    scarce.sort_by(|left, right| (left.available, &left.sku).cmp(&(right.available, &right.sku)));
    Ok(scarce)
}
