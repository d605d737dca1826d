//! `wares import`.

use std::{io, path::Path, process::ExitCode, str::FromStr};

use iso_currency::Currency;
use serde_json::json;

use super::{
    Application, Failure, Output,
    arguments::{
        CategoryFromArgument, ExistingArgument, FormatArgument, ImportArguments, ImportProductsArguments,
        StockArgument,
    },
    progress::Progress,
    serve::{has_shop, start},
    signals::Stop,
};
use crate::{
    config::Config,
    control::ControlClient,
    import::{
        self, CategoryFrom, Existing, Format, ImportError, Journal, JournalError, Kind, Mistake,
        MistakesFile, Options, Report, StockMode, Told, file_hash,
    },
    plugin::grants::PluginsFile,
    seed::SystemApi,
};

/// How many mistakes are printed; the rest is counted, and in the list of errors.
const SHOWN_MISTAKES: usize = 10;

pub(super) async fn products<A: Application>(
    arguments: ImportProductsArguments,
    output: Output,
) -> Result<ExitCode, Failure> {
    let ImportProductsArguments { import, format, currency, stock, category_from } = arguments;
    let format = match format {
        Some(FormatArgument::ShopifyCsv) => Format::ShopifyCsv,
        Some(FormatArgument::Ndjson) => Format::Ndjson,
        None => format_of(&import.file)?,
    };
    let config = Config::load(&import.place.overrides())?.config;
    let options = Options {
        format,
        stock: match stock {
            StockArgument::New => StockMode::New,
            StockArgument::Set => StockMode::Set,
            StockArgument::Leave => StockMode::Leave,
        },
        category_from: category_from.map(|from| match from {
            CategoryFromArgument::Type => CategoryFrom::Type,
            CategoryFromArgument::ProductCategory => CategoryFrom::ProductCategory,
        }),
        currency: currency_of(currency.as_deref(), &config)?,
        ..options(Kind::Products, &import)
    };
    run::<A>(config, &options, &import, output).await
}

/// Imports lines of anything else.
pub(super) async fn lines<A: Application>(
    kind: Kind,
    import: ImportArguments,
    output: Output,
) -> Result<ExitCode, Failure> {
    let config = Config::load(&import.place.overrides())?.config;
    run::<A>(config, &options(kind, &import), &import, output).await
}

/// Those of an import of lines.
fn options(kind: Kind, arguments: &ImportArguments) -> Options {
    Options {
        file: arguments.file.clone(),
        kind,
        format: Format::Ndjson,
        existing: match arguments.existing {
            ExistingArgument::Update => Existing::Update,
            ExistingArgument::Skip => Existing::Skip,
            ExistingArgument::Fail => Existing::Fail,
        },
        stock: StockMode::Leave,
        category_from: None,
        currency: Currency::USD,
        dry_run: arguments.dry_run,
    }
}

fn format_of(file: &Path) -> Result<Format, Failure> {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_lowercase().as_str() {
        "csv" => Ok(Format::ShopifyCsv),
        "ndjson" | "jsonl" => Ok(Format::Ndjson),
        _ => Err(Failure::usage(
            format!("the name of `{}` does not tell its format", file.display()),
            "Add --format shopify-csv or --format ndjson.",
        )),
    }
}

/// The currency of a CSV: the one that was asked for, or the one in which the products plugin shows prices.
pub(super) fn currency_of(asked: Option<&str>, config: &Config) -> Result<Currency, Failure> {
    let grants = PluginsFile::read(&config.plugins.grants)
        .map_err(|error| Failure::of(&error, "Correct the file, or name the currency with --currency."));
    let code = match asked {
        Some(code) => code.to_uppercase(),
        None => {
            let products = grants?.entry("products");
            let default = products.config.get("defaultCurrency").and_then(|code| code.as_str());
            default.unwrap_or("USD").to_owned()
        }
    };
    Currency::from_str(&code).map_err(|_| {
        Failure::usage(format!("`{code}` is no currency"), "Name one by its code of ISO 4217, such as EUR.")
    })
}

async fn run<A: Application>(
    mut config: Config,
    options: &Options,
    arguments: &ImportArguments,
    output: Output,
) -> Result<ExitCode, Failure> {
    let (hash, lines) =
        file_hash(&options.file, &options.fingerprint()).map_err(|error| unreadable(options, &error))?;
    let client = ControlClient::connect(&config.store.data_dir).await?;
    if client.is_none() {
        if let Err(nothing) = has_shop(&config) {
            output.note(&format!("{}: the rows meet an empty one.", nothing.cause));
        }
        // Also makes the data directory, where the journal goes.
        config.prepare()?;
    }
    // First, because it fails at once, and before anything slow.
    let mut list = match &arguments.errors {
        Some(file) => Some(MistakesFile::create(file).map_err(|error| {
            Failure::new(
                format!("cannot write `{}`: {error}", file.display()),
                "Choose another file with --errors.",
            )
        })?),
        None => None,
    };
    let journal = match options.dry_run {
        true => None,
        false => Some(Journal::open(&config.store.data_dir, &hash).map_err(journal_failure)?),
    };
    let running = Running { options, journal, lines, output };
    let imported = match client {
        Some(client) => running.import(&client, &mut list).await,
        None => {
            let application = start::<A>(config).await?;
            let imported = running.import(&*application, &mut list).await;
            application.stop().await;
            imported
        }
    };
    let report = imported?;
    let mut json = json!(report);
    json["file"] = json!(options.file);
    json["errors"] = json!(arguments.errors);
    output.answer(&summary(&report, options.kind), &json);
    if report.mistakes == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let next_step = match (&arguments.errors, options.dry_run) {
        (Some(file), _) => {
            format!("`{}` has all of them. Correct the rows and import the file again.", file.display())
        }
        (None, true) => "Correct the rows; --errors FILE writes all of them to a list.".to_owned(),
        (None, false) => {
            "Correct the rows and import the file again, with --errors FILE for a list of all of them."
                .to_owned()
        }
    };
    Err(Failure::new(format!("there are {} errors in the file", report.mistakes), next_step))
}

struct Running<'r> {
    options: &'r Options,
    journal: Option<Journal>,
    lines: u64,
    output: Output,
}

impl Running<'_> {
    /// Imports to the end, until a signal, or until the API gives up, and tells what was wrong.
    async fn import(self, api: &impl SystemApi, list: &mut Option<MistakesFile>) -> Result<Report, Failure> {
        let Self { options, journal, lines, output } = self;
        let stop = Stop::on_signals().map_err(|error| Failure::of(&error, "Try again."))?;
        if let Some(journal) = journal.as_ref().filter(|journal| journal.is_continued()) {
            output.note(&format!(
                "Going on with an import that was interrupted: {} are done.",
                journal.done_count()
            ));
        }
        if options.format == Format::ShopifyCsv {
            output.note(&format!("Amounts are in {}.", options.currency.code()));
        }
        let (mut shown, mut warnings) = (Vec::new(), Vec::new());
        let imported = {
            let mut progress =
                Progress::on_terminal(output, if options.dry_run { "Checking" } else { "Importing" });
            let tell = |told: Told<'_>| {
                match told {
                    Told::Line(line) => progress.set(line.min(lines), lines),
                    Told::Warning(warning) => warnings.push(warning.to_owned()),
                    Told::Mistakes(mistakes) => {
                        let more = SHOWN_MISTAKES.saturating_sub(shown.len());
                        shown.extend(mistakes.iter().take(more).cloned());
                        if let Some(list) = list {
                            list.add(mistakes).map_err(ImportError::Mistakes)?;
                        }
                    }
                }
                Ok(())
            };
            tokio::select! {
                imported = import::run(api, options, journal.as_ref(), tell) => Some(imported),
                () = stop.wait() => None,
            }
        };
        warnings.iter().for_each(|warning| output.warning(warning));
        shown.iter().for_each(|mistake| output.warning(&described(mistake)));
        match imported {
            Some(Ok(report)) => {
                if let Some(journal) = journal {
                    journal.remove().map_err(|error| journal_failure_of(&error))?;
                }
                Ok(report)
            }
            Some(Err(error)) => Err(failure(&error, options)),
            None => Err(Failure::new("the import was stopped", again(options))),
        }
    }
}

fn again(options: &Options) -> &'static str {
    match options.dry_run {
        true => "Nothing was written; run it again.",
        false => "Run the same command again: it goes on where it was.",
    }
}

fn failure(error: &ImportError, options: &Options) -> Failure {
    let next_step = match error {
        ImportError::Api(_) | ImportError::Journal(_) => again(options),
        ImportError::Refused { .. } => {
            "Check with `wares plugin list` that the plugins of what is imported run, then run the same command again."
        }
        ImportError::Read(_) | ImportError::Format(_) => {
            "Correct the file; docs/IMPORT.md has its format. What came before was imported."
        }
        ImportError::Mistakes(_) => {
            "Free some space, or choose another file with --errors, then run it again."
        }
        ImportError::TrialCommitted => {
            "Look for products named dry-run-… and delete them, then update the products plugin."
        }
    };
    Failure::of(error, next_step)
}

fn journal_failure(error: JournalError) -> Failure {
    let next_step = match &error {
        JournalError::Running => "Wait for it, or stop it.",
        JournalError::File { .. } => "Make the data directory writable for this user.",
    };
    Failure::of(&error, next_step)
}

fn journal_failure_of(error: &io::Error) -> Failure {
    Failure::new(
        format!("the journal cannot be removed: {error}"),
        "All was imported; remove it from the data directory.",
    )
}

fn unreadable(options: &Options, error: &io::Error) -> Failure {
    Failure::new(format!("cannot read `{}`: {error}", options.file.display()), "Check the path.")
}

/// A mistake in one line.
fn described(mistake: &Mistake) -> String {
    let Mistake { row, slug, column, pointer, code, message, .. } = mistake;
    let mut text = format!("row {row}");
    for (before, part, after) in [(", `", slug, "`"), (", column ", column, "")] {
        if let Some(part) = part {
            text += &format!("{before}{part}{after}");
        }
    }
    if column.is_none() && !pointer.is_empty() {
        text += &format!(", {pointer}");
    }
    format!("{text}: {code}: {message}")
}

fn summary(report: &Report, kind: Kind) -> String {
    let noun = match kind {
        Kind::Products => "products",
        Kind::Categories => "categories",
        Kind::Users => "users",
        Kind::Orders => "orders",
    };
    let Report { dry_run, created, updated, skipped, done_before, refused, .. } = report;
    let mut text = match dry_run {
        true => format!("Nothing was written. {created} {noun} would be created and {updated} updated"),
        false => format!("Created {created} {noun} and updated {updated}"),
    };
    let mut also = |count: u64, what: &str| {
        if count > 0 {
            text += &format!("; {count} {what}");
        }
    };
    also(*skipped, "were left alone");
    also(*done_before, "were done before the interruption");
    also(*refused, if *dry_run { "would be refused" } else { "were refused" });
    also(
        report.categories_created,
        if *dry_run { "categories would be made" } else { "categories were made" },
    );
    also(report.stocked, "SKUs got stock");
    also(report.untried, "change what the file itself would create, and were not tried");
    text + "."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_format() {
        assert_eq!(format_of(Path::new("a/products.CSV")).unwrap(), Format::ShopifyCsv);
        assert_eq!(format_of(Path::new("products.jsonl")).unwrap(), Format::Ndjson);
        assert_eq!(format_of(Path::new("products.txt")).unwrap_err().code, 2);
    }

    #[test]
    fn a_mistake_is_told_in_one_line() {
        let mistake = Mistake {
            row: 7,
            line: 9,
            slug: Some("mug".to_owned()),
            column: Some("Variant Price".to_owned()),
            pointer: "/variants/0/prices".to_owned(),
            code: "validation_failed".to_owned(),
            message: "No.".to_owned(),
        };
        assert_eq!(described(&mistake), "row 7, `mug`, column Variant Price: validation_failed: No.");
        let mistake = Mistake { slug: None, column: None, ..mistake };
        assert_eq!(described(&mistake), "row 7, /variants/0/prices: validation_failed: No.");
    }

    #[test]
    fn a_summary_tells_what_there_was() {
        let report = Report { created: 2, ..Report::default() };
        assert_eq!(summary(&report, Kind::Products), "Created 2 products and updated 0.");
        let report = Report { dry_run: true, refused: 1, untried: 3, ..report };
        assert!(
            summary(&report, Kind::Categories)
                .starts_with("Nothing was written. 2 categories would be created")
        );
    }
}
