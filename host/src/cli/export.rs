//! `wares export`.

use std::{
    io::{self, BufWriter, ErrorKind, Write},
    path::Path,
    process::ExitCode,
};

use serde_json::json;

use super::{
    Application, Failure, Output,
    arguments::{ExportArguments, ExportProductsArguments, FormatArgument},
    import::currency_of,
    serve::start,
};
use crate::{
    backup::BackupFile,
    config::Config,
    control::ControlClient,
    import::{ExportError, ExportSink, ShopifyWriter, export_categories, export_products},
    seed::SystemApi,
};

pub(super) async fn products<A: Application>(
    arguments: ExportProductsArguments,
    output: Output,
) -> Result<ExitCode, Failure> {
    let ExportProductsArguments { export, format, currency } = arguments;
    let config = Config::load(&export.place.overrides())?.config;
    let what = What::Products(match format {
        FormatArgument::Ndjson => None,
        FormatArgument::ShopifyCsv => Some(currency_of(currency.as_deref(), &config)?),
    });
    run::<A>(config, what, &export, output).await
}

pub(super) async fn categories<A: Application>(
    arguments: ExportArguments,
    output: Output,
) -> Result<ExitCode, Failure> {
    let config = Config::load(&arguments.place.overrides())?.config;
    run::<A>(config, What::Categories, &arguments, output).await
}

#[derive(Debug, Clone, Copy)]
enum What {
    /// As a sheet in a currency, or as lines.
    Products(Option<iso_currency::Currency>),
    Categories,
}

impl What {
    fn noun(self) -> &'static str {
        match self {
            Self::Products(_) => "products",
            Self::Categories => "categories",
        }
    }

    async fn write(self, api: &impl SystemApi, out: &mut impl Write) -> Result<u64, ExportError> {
        match self {
            Self::Categories => export_categories(api, out).await,
            Self::Products(None) => export_products(api, &mut ExportSink::Ndjson(out), |_| {}).await,
            Self::Products(Some(currency)) => {
                let mut sink = ExportSink::Shopify(Box::new(ShopifyWriter::new(out, currency)));
                export_products(api, &mut sink, |_| {}).await
            }
        }
    }
}

async fn run<A: Application>(
    mut config: Config,
    what: What,
    arguments: &ExportArguments,
    output: Output,
) -> Result<ExitCode, Failure> {
    let client = ControlClient::connect(&config.store.data_dir).await?;
    let count = match client {
        Some(client) => to_place(&client, what, arguments).await?,
        None => {
            let store = config.store.store_config();
            if !store.exists() {
                let cause = format!("there is no store in {store}");
                return Err(Failure::new(cause, "Name the folder that has one with --data-dir."));
            }
            config.prepare()?;
            let application = start::<A>(config).await?;
            let count = to_place(&*application, what, arguments).await;
            application.stop().await;
            count?
        }
    };
    let text = format!("Wrote {count} {}.", what.noun());
    if arguments.file == Path::new("-") {
        output.note(&text);
    } else {
        output.answer(&text, &json!({"file": arguments.file, what.noun(): count}));
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes to standard output, or to a file that gets its name when it is whole.
async fn to_place(api: &impl SystemApi, what: What, arguments: &ExportArguments) -> Result<u64, Failure> {
    if arguments.file == Path::new("-") {
        let mut out = BufWriter::new(io::stdout());
        return what.write(api, &mut out).await.map_err(|error| failure(&error));
    }
    let unwritable = |error: io::Error| {
        let shown = arguments.file.display();
        match error.kind() {
            ErrorKind::AlreadyExists => Failure::new(
                format!("`{shown}` is there already"),
                "Choose another name, or replace it with --force.",
            ),
            _ => Failure::new(format!("cannot write `{shown}`: {error}"), "Choose another place."),
        }
    };
    let mut file = BackupFile::create(&arguments.file, arguments.force).map_err(unwritable)?;
    let count = what.write(api, &mut file).await.map_err(|error| failure(&error))?;
    file.finish().map_err(unwritable)?;
    Ok(count)
}

fn failure(error: &ExportError) -> Failure {
    let next_step = match error {
        ExportError::Api(_) => "See the log of the host, then try again.",
        ExportError::Refused { .. } => {
            "Check with `wares plugin list` that the products and categories plugins are loaded."
        }
        ExportError::Write(_) => "Free some space or choose another place.",
    };
    Failure::of(error, next_step)
}
