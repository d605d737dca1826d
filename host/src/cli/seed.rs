//! `wares seed`.

use std::{fs, process::ExitCode};

use serde_json::Value;

use super::{Application, Failure, Output, arguments::SeedArguments, progress::Progress, serve::start};
use crate::{
    config::Config,
    control::{ControlClient, SystemRequest},
    seed::{self, Catalogue, SeedReport, SystemApi, SystemApiError, dummyjson, spree},
};

/// How many refusals are printed; the rest is counted.
const SHOWN_REFUSALS: usize = 10;

pub(super) async fn run<A: Application>(
    arguments: SeedArguments,
    output: Output,
) -> Result<ExitCode, Failure> {
    let catalogue = read(arguments.from.as_deref())?;
    let mut config = Config::load(&arguments.place.overrides())?.config;
    let report = match ControlClient::connect(&config.store.data_dir).await? {
        Some(client) => fill(&client, &catalogue, output).await?,
        None => {
            config.prepare()?;
            let application = start::<A>(config).await?;
            let report = fill(&*application, &catalogue, output).await;
            application.stop().await;
            report?
        }
    };
    output.answer(&summary(&report), &report);
    match report.refused.len() {
        0 => Ok(ExitCode::SUCCESS),
        count => {
            for refusal in report.refused.iter().take(SHOWN_REFUSALS) {
                output.warning(refusal);
            }
            Err(Failure::new(
                format!("the API refused {count} items"),
                "Correct them in the file and seed again; what was created is left alone.",
            ))
        }
    }
}

/// Loads the sample shop unless there are products already.
pub(super) async fn seed_if_empty(api: &impl SystemApi, output: Output) -> Result<(), Failure> {
    let found = api.request("GET", "/products?limit=1", None).await;
    match found.map_err(|error| no_answer(&error))? {
        (200, Value::Array(products)) if products.is_empty() => {
            let report = load(api, &read(None)?, output).await?;
            output.note(&summary(&report));
            report.refused.iter().take(SHOWN_REFUSALS).for_each(|refusal| output.warning(refusal));
            Ok(())
        }
        (200, _) => Ok(()),
        // Serving without sample data beats not serving.
        (status, problem) => {
            let code = problem["code"].as_str().unwrap_or("no code");
            output.warning(&format!(
                "the shop is not seeded: the API answered GET /products with {status} {code}; are the plugins built and \
                 in the plugins folder?"
            ));
            Ok(())
        }
    }
}

/// Loads a catalogue if there is somebody to take it. Without the plugins every item would be refused, and nothing
/// would say why.
async fn fill(api: &impl SystemApi, catalogue: &Catalogue, output: Output) -> Result<SeedReport, Failure> {
    for path in ["/categories", "/products"] {
        let answer = api.request("GET", &format!("{path}?limit=1"), None).await;
        let (status, problem) = answer.map_err(|error| no_answer(&error))?;
        if status != 200 {
            let code = problem["code"].as_str().unwrap_or("no code");
            return Err(Failure::new(
                format!("nothing was loaded: the API answered GET {path} with {status} {code}"),
                "Check with `wares plugin list` that the products and categories plugins are loaded.",
            ));
        }
    }
    load(api, catalogue, output).await
}

async fn load(api: &impl SystemApi, catalogue: &Catalogue, output: Output) -> Result<SeedReport, Failure> {
    let (categories, products) = (catalogue.categories.len(), catalogue.products.len());
    output.note(&format!("Loading {categories} categories and {products} products."));
    let mut progress = Progress::on_terminal(output, "Loading");
    seed::load(api, catalogue, |done, total| progress.set(done as u64, total as u64))
        .await
        .map_err(|error| no_answer(&error))
}

fn no_answer(error: &SystemApiError) -> Failure {
    Failure::of(error, "Check with `wares plugin list` that the products and categories plugins are loaded.")
}

fn read(from: Option<&[String]>) -> Result<Catalogue, Failure> {
    let Some([format, file]) = from else {
        return seed::sample_shop()
            .map_err(|error| Failure::of(&error, "Rebuild `wares` from a clean checkout."));
    };
    let parse = match format.as_str() {
        "dummyjson" => dummyjson::catalogue,
        "spree" => spree::catalogue,
        other => {
            return Err(Failure::usage(
                format!("`{other}` is not a catalogue format"),
                "Use `--from dummyjson products.json` or `--from spree products.csv`.",
            ));
        }
    };
    let text = fs::read_to_string(file).map_err(|error| {
        Failure::new(
            format!("cannot read `{file}`: {error}"),
            "Check the path, and that the file is text in UTF-8.",
        )
    })?;
    parse(&text).map_err(|error| {
        Failure::new(
            format!("`{file}` cannot be imported: {error}"),
            "Correct the file; docs/IMPORT.md has its format.",
        )
    })
}

fn summary(report: &SeedReport) -> String {
    let mut text =
        format!("Created {} categories and {} products", report.categories_created, report.products_created);
    if report.categories_skipped + report.products_skipped > 0 {
        let (categories, products) = (report.categories_skipped, report.products_skipped);
        text += &format!("; {categories} categories and {products} products were there already");
    }
    if report.stocked > 0 {
        text += &format!("; {} SKUs got stock", report.stocked);
    }
    text + "."
}

impl SystemApi for ControlClient {
    async fn request_with(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Result<(u16, Value), SystemApiError> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request = SystemRequest { method: method.to_owned(), path: path.to_owned(), body, headers };
        let response = self.system_request(&request).await;
        response
            .map(|response| (response.status, response.body))
            .map_err(|error| SystemApiError(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_format_and_a_missing_file_are_explained() {
        let read = |format: &str, file: &str| read(Some(&[format.to_owned(), file.to_owned()])).unwrap_err();
        let failure = read("shopify", "x");
        assert_eq!((failure.code, failure.cause.as_str()), (2, "`shopify` is not a catalogue format"));
        let failure = read("spree", "/nowhere/products.csv");
        assert_eq!(failure.code, 1);
        assert!(failure.cause.starts_with("cannot read `/nowhere/products.csv`"), "{}", failure.cause);
    }

    #[test]
    fn a_summary_counts_what_was_there_only_when_something_was() {
        let mut report = SeedReport { categories_created: 2, products_created: 3, ..SeedReport::default() };
        assert_eq!(summary(&report), "Created 2 categories and 3 products.");
        report.products_skipped = 1;
        assert!(summary(&report).ends_with("; 0 categories and 1 products were there already."));
        report.stocked = 4;
        assert!(summary(&report).ends_with("were there already; 4 SKUs got stock."));
    }
}
