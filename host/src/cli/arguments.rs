//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::Overrides;

/// A commerce API platform whose endpoints and rules are WebAssembly plugins.
#[derive(Debug, Parser)]
#[command(name = "wares", version, max_term_width = 100, propagate_version = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Print no progress and no hints
    #[arg(long, short, global = true)]
    pub(super) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serve the shop
    Serve(ServeArguments),
    /// Serve the shop of this repository, and rebuild and swap its plugins when their source changes
    Dev(ServeArguments),
    /// Manage accounts
    #[command(subcommand)]
    User(UserCommand),
    /// Fill the shop with the sample catalogue, or with one from a file; what exists already is left alone
    Seed(SeedArguments),
    /// Import products, categories, users or orders from a file; a broken row is told and skipped, a killed import goes on
    #[command(subcommand)]
    Import(ImportCommand),
    /// Write products or categories to a file that can be imported
    #[command(subcommand)]
    Export(ExportCommand),
    /// Back up, restore, check and move what the shop holds
    #[command(subcommand)]
    Db(DbCommand),
    /// Look at the audit log
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look at plugins
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Print the OpenAPI document of the plugins in the plugins folder
    Openapi(OpenApiArguments),
    /// Check this machine, the data directory and the plugins, and say what to do
    Doctor(DoctorArguments),
    /// Print the help of every command
    #[command(hide = true)]
    Reference,
}

/// Where configuration, data and plugins are.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct PlaceArguments {
    /// Configuration file, instead of config/<WARES_ENV>.toml
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Folder of the data
    #[arg(long, value_name = "FOLDER")]
    pub(super) data_dir: Option<PathBuf>,
    /// Folder of the components (*.wasm)
    #[arg(long, value_name = "FOLDER")]
    pub(super) plugins_dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(super) struct ServeArguments {
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) listen: Option<String>,
    #[command(flatten)]
    pub(super) place: PlaceArguments,
    /// Load the sample catalogue first if the shop has no products
    #[arg(long)]
    pub(super) seed: bool,
}

#[derive(Debug, Args)]
pub(super) struct OpenApiArguments {
    /// Version of OpenAPI
    #[arg(id = "openapi", long = "openapi", value_enum, default_value = "3.1", value_name = "VERSION")]
    pub(super) version: OpenApiVersion,
    #[command(flatten)]
    pub(super) place: PlaceArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OpenApiVersion {
    #[value(name = "3.1")]
    V3_1,
    /// For tools that know no later one
    #[value(name = "3.0")]
    V3_0,
}

#[derive(Debug, Args)]
pub(super) struct DoctorArguments {
    /// Address and port that the host would listen on
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) listen: Option<String>,
    #[command(flatten)]
    pub(super) place: PlaceArguments,
}

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Create an account; its password is read from standard input
    Create(UserCreateArguments),
}

#[derive(Debug, Args)]
pub(super) struct UserCreateArguments {
    /// What the account is for
    #[arg(long, value_enum)]
    pub(super) kind: Kind,
    /// Address to log in with
    #[arg(long)]
    pub(super) email: String,
    /// Role of the account; can be given several times
    #[arg(long = "role", value_name = "ROLE", required = true)]
    pub(super) roles: Vec<String>,
    /// Name to show
    #[arg(long, default_value = "")]
    pub(super) name: String,
    #[command(flatten)]
    pub(super) place: PlaceArguments,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Kind {
    /// Staff
    Admin,
}

#[derive(Debug, Args)]
pub(super) struct SeedArguments {
    /// Load a public catalogue from a file: FORMAT is dummyjson (products.json) or spree (products.csv)
    #[arg(long, num_args = 2, value_names = ["FORMAT", "FILE"])]
    pub(super) from: Option<Vec<String>>,
    #[command(flatten)]
    pub(super) place: PlaceArguments,
}

#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// Import products from Shopify's product CSV, or from NDJSON
    Products(ImportProductsArguments),
    /// Import categories from NDJSON
    Categories(ImportArguments),
    /// Import customers and staff from NDJSON, with the hashes of their passwords
    Users(ImportArguments),
    /// Import orders that were placed in another shop, from NDJSON
    Orders(ImportArguments),
}

/// What every import can be told.
#[derive(Debug, Args)]
pub(super) struct ImportArguments {
    /// File to import
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Check every row against the shop, and write nothing
    ///
    /// Of orders and users the rows are read and what they name is looked up; what else the shop refuses shows in
    /// earnest.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// What happens to what the shop has already, by its slug, e-mail address or number
    #[arg(long, value_enum, default_value = "update", value_name = "WHAT")]
    pub(super) existing: ExistingArgument,
    /// Write every error with its row to this file: CSV, or NDJSON if it is named so
    #[arg(long, value_name = "FILE")]
    pub(super) errors: Option<PathBuf>,
    #[command(flatten)]
    pub(super) place: PlaceArguments,
}

#[derive(Debug, Args)]
pub(super) struct ImportProductsArguments {
    #[command(flatten)]
    pub(super) import: ImportArguments,
    /// Format of the file; without it, .csv and .ndjson or .jsonl tell
    #[arg(long, value_enum)]
    pub(super) format: Option<FormatArgument>,
    /// ISO 4217 code of the amounts in a CSV; without it, the shop's default
    #[arg(long, value_name = "CODE")]
    pub(super) currency: Option<String>,
    /// What happens to the stock that the file tells
    #[arg(long, value_enum, default_value = "new", value_name = "WHAT")]
    pub(super) stock: StockArgument,
    /// Column of a CSV that categories are made of
    #[arg(long, value_enum, value_name = "COLUMN")]
    pub(super) category_from: Option<CategoryFromArgument>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ExistingArgument {
    /// It is changed
    Update,
    /// It is left alone
    Skip,
    /// It is an error of its row
    Fail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum StockArgument {
    /// SKUs without a level get one; levels that exist are left alone
    New,
    /// What is on hand becomes what the file says
    Set,
    /// None is looked at
    Leave,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FormatArgument {
    ShopifyCsv,
    Ndjson,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CategoryFromArgument {
    Type,
    /// A path such as Home & Garden > Kitchen
    ProductCategory,
}

#[derive(Debug, Subcommand)]
pub(super) enum ExportCommand {
    /// Write all products with their stock, in the order of their slugs
    Products(ExportProductsArguments),
    /// Write all categories as NDJSON, parents before their children
    Categories(ExportArguments),
}

/// What every export can be told.
#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    /// File to write, or - for standard output
    #[arg(value_name = "FILE", default_value = "-")]
    pub(super) file: PathBuf,
    /// Replace a file that is there already
    #[arg(long)]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) place: PlaceArguments,
}

#[derive(Debug, Args)]
pub(super) struct ExportProductsArguments {
    #[command(flatten)]
    pub(super) export: ExportArguments,
    /// Format of the file
    #[arg(long, value_enum, default_value = "ndjson")]
    pub(super) format: FormatArgument,
    /// ISO 4217 code of the prices in a CSV; without it, the shop's default
    #[arg(long, value_name = "CODE")]
    pub(super) currency: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum DbCommand {
    /// Write everything that the store holds to a file, also while the shop is selling
    Backup(DbBackupArguments),
    /// Fill an empty store from a backup, after all of it has been checked
    Restore(DbRestoreArguments),
    /// Check a backup, or the store with everything derived in it, and print the hash of every collection
    Verify(DbVerifyArguments),
    /// Copy the store into another one that is empty, and compare the hashes of every collection
    Migrate(DbMigrateArguments),
}

#[derive(Debug, Args)]
pub(super) struct DbBackupArguments {
    /// File to write, or - for standard output; it holds password hashes
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Replace a file that is there already
    #[arg(long)]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) place: PlaceArguments,
}

#[derive(Debug, Args)]
pub(super) struct DbRestoreArguments {
    /// Backup to read
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) place: PlaceArguments,
}

#[derive(Debug, Args)]
pub(super) struct DbVerifyArguments {
    /// Backup to check, instead of the store
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) place: PlaceArguments,
}

#[derive(Debug, Args)]
pub(super) struct DbMigrateArguments {
    /// Store to fill: a mongodb:// address, or a folder for an embedded store
    #[arg(long, value_name = "TARGET")]
    pub(super) to: String,
    #[command(flatten)]
    pub(super) place: PlaceArguments,
}

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Compare the log with its seals, and say what was changed, removed, added, reordered or cut off
    Verify(PlaceArguments),
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print every setting with its value and where it came from; secrets stay hidden
    Show(PlaceArguments),
    /// Check the configuration
    Check(PlaceArguments),
}

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Load components the way a host would, with an empty store, and say what is wrong
    Check(PluginCheckArguments),
    /// List the plugins of the running host, or of the plugins folder when none runs
    List(PlaceArguments),
    /// Price an order again from the cart, components and configurations that were kept with it
    Replay(ReplayArguments),
}

#[derive(Debug, Args)]
pub(super) struct ReplayArguments {
    /// The order's id or number
    #[arg(value_name = "ORDER")]
    pub(super) order: String,
    #[command(flatten)]
    pub(super) place: PlaceArguments,
}

#[derive(Debug, Args)]
pub(super) struct PluginCheckArguments {
    /// Components (*.wasm)
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Configuration file, instead of config/<WARES_ENV>.toml
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

impl PlaceArguments {
    pub(super) fn overrides(&self) -> Overrides {
        Overrides {
            config: self.config.clone(),
            listen: None,
            data_dir: self.data_dir.clone(),
            plugins_dir: self.plugins_dir.clone(),
        }
    }
}

impl ServeArguments {
    pub(super) fn overrides(&self) -> Overrides {
        Overrides { listen: self.listen.clone(), ..self.place.overrides() }
    }
}

impl DoctorArguments {
    pub(super) fn overrides(&self) -> Overrides {
        Overrides { listen: self.listen.clone(), ..self.place.overrides() }
    }
}
