//! The stack: everything in the template, started and ended together.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::try_join_all;
use jobledger::bell::Bell;
use jobledger::{Environment, Function};
use tokio::task::JoinSet;

use crate::data::Data;
use crate::engine::{self, ACCESS_KEY, Clients, Durability, Engine, SECRET_KEY};
use crate::error::{Error, Result};
use crate::gateway::{Gateway, Routes};
use crate::instances::{Instances, Target};
use crate::invoke::Instance;
use crate::stop::Stop;
use crate::streams::{Consumers, Subscription, Wake};
use crate::template::{GATEWAY, REGION, ScheduleRule, Template, TemplateError};
use crate::{key, net, schedules};

/// The template that this binary was built with.
pub const TEMPLATE: &str = include_str!("../../../template.yaml");
/// How long the pumps may deliver the streams when the stack stops. The rest is delivered after the next start.
const PUMP_MAX: Duration = Duration::from_secs(10);

/// How to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The template's text; [`TEMPLATE`] by default.
    pub template: String,
    /// Values for its parameters, in place of their defaults.
    pub parameters: BTreeMap<String, String>,
    /// The place of the data.
    pub storage: Storage,
    /// Which DynamoDB.
    pub dynamodb: DynamoDb,
    /// Whether there is an HTTP API.
    pub http: Http,
    /// The prefix of the tables' names; useful if stacks share an endpoint.
    pub table_prefix: String,
    /// How often a function on a schedule is called, in place of what the template says; by the name of its crate.
    pub every: BTreeMap<String, Duration>,
}

/// The place of the data.
#[derive(Clone, Debug, PartialEq)]
pub enum Storage {
    /// In this directory, kept between runs.
    Directory(PathBuf),
    /// In a directory of its own, removed at the end.
    Temporary,
}

/// Which DynamoDB.
#[derive(Clone, Debug, PartialEq)]
pub enum DynamoDb {
    /// The embedded engine, on this port of the loopback address (0: any that is free).
    Embedded {
        /// The port.
        port: u16,
    },
    /// One that runs already, at this `http://` address.
    Endpoint(String),
}

/// Whether there is an HTTP API.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Http {
    /// On this port of the loopback address (0: any that is free).
    Port(u16),
    /// None: only DynamoDB, its streams and the schedules, for functions that run elsewhere.
    Off,
}

impl Default for Options {
    /// A stack for one test: any free port, and nothing left behind.
    fn default() -> Self {
        Self {
            template: TEMPLATE.to_owned(),
            parameters: BTreeMap::new(),
            storage: Storage::Temporary,
            dynamodb: DynamoDb::Embedded { port: 0 },
            http: Http::Port(0),
            table_prefix: String::new(),
            every: BTreeMap::new(),
        }
    }
}

/// The addresses that functions need.
#[derive(Clone, Debug)]
struct Places {
    dynamodb: String,
    /// `None`: there is no HTTP API, and URLs that name it lead nowhere.
    gateway: Option<SocketAddr>,
    /// A job that one function queues wakes claims that wait in another.
    bell: Bell,
}

/// A running stack.
#[derive(Debug)]
pub struct Stack {
    template: Template,
    places: Places,
    gateway: Option<Gateway>,
    instances: Instances,
    consumers: Consumers,
    wake: Wake,
    stop: Stop,
    tasks: JoinSet<()>,
    engine: Option<Engine>,
    // Last, so that the lock is released and the directory is removed only when nothing uses it any more.
    data: Data,
}

impl Stack {
    /// Starts everything in the template, with these functions.
    pub async fn start(options: Options, functions: Vec<Function>) -> Result<Self> {
        let template = Template::parse(&options.template, &options.parameters, &options.table_prefix)?;
        check_registry(&template, &functions)?;
        check_schedules(&template, &options.every)?;
        // First of all, because a taken port is the most frequent reason to end here.
        let listening = match options.http {
            Http::Port(port) => Some(net::listen(port, "--port")?),
            Http::Off => None,
        };
        let data = Data::open(&options.storage)?;
        let (engine, endpoint) = match &options.dynamodb {
            DynamoDb::Embedded { port } => {
                let durability = match options.storage {
                    Storage::Directory(_) => Durability::Kept,
                    Storage::Temporary => Durability::Temporary,
                };
                let engine = Engine::start(data.path(), durability, *port)?;
                let endpoint = engine.endpoint().to_owned();
                (Some(engine), endpoint)
            }
            DynamoDb::Endpoint(endpoint) => (None, endpoint.clone()),
        };
        let clients = Clients::new(&endpoint);
        let gateway = listening.as_ref().map(|(_, address)| *address);
        let places = Places { dynamodb: endpoint, gateway, bell: Bell::default() };
        let mut streams = BTreeMap::new();
        for table in &template.tables {
            if let Some(arn) = engine::create(&clients.tables, table).await? {
                streams.insert(table.name.clone(), arn);
            }
        }
        key::put(&clients.tables, &template).await?;

        let instances = start_functions(&template, &places, &functions).await?;
        let (stop, stopped) = Stop::new();
        let mut tasks = JoinSet::new();
        let wake = Wake::new();
        let positions = directory(data.path(), "streams")?;
        let consumers = Consumers::start(
            subscriptions(&template, &instances, &streams),
            streams.into_keys().collect(),
            &clients.streams,
            &positions,
            &wake,
            &stopped,
            &mut tasks,
        );
        if let Some(engine) = &engine {
            let (database, file) = engine.parts();
            tasks.spawn(engine::keep_house(database, file, consumers.clone(), wake.clone(), stopped.clone()));
        }
        for function in &template.functions {
            let Some(instance) = instances.whole(&function.name) else { continue };
            for rule in &function.schedules {
                let every = options.every.get(&function.name).copied().unwrap_or(rule.every);
                let rule = ScheduleRule { every, ..rule.clone() };
                tasks.spawn(schedules::run(rule, instance.clone(), wake.clone(), stopped.clone()));
            }
        }
        let gateway = match listening {
            Some(listening) => {
                let (routes, urls) = routes(&template, &instances)?;
                Some(Gateway::start(listening, routes, urls, wake.clone()))
            }
            None => None,
        };
        Ok(Self { template, places, gateway, instances, consumers, wake, stop, tasks, engine, data })
    }

    /// The address of the HTTP API, if there is one: `http://127.0.0.1:8080`.
    pub fn url(&self) -> Option<String> {
        self.gateway.as_ref().map(|gateway| format!("http://{}", gateway.address()))
    }

    /// The address of DynamoDB.
    pub fn dynamodb_endpoint(&self) -> &str {
        &self.places.dynamodb
    }

    /// The directory of the data.
    pub fn data_directory(&self) -> &Path {
        self.data.path()
    }

    /// The template, resolved.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// The environment that a function of the template is started with, by the name of its crate.
    pub fn environment(&self, function: &str) -> Option<Environment> {
        let found = self.template.functions.iter().find(|other| other.name == function)?;
        Some(environment(found, &self.places))
    }

    /// Tells the pumps that something was written without the HTTP API. They would find out later by themselves.
    pub fn wake(&self) {
        self.wake.ring();
    }

    /// Waits until everything that was written before the call is delivered to the functions on the streams, with
    /// everything that these wrote.
    pub async fn settled(&self, within: Duration) -> Result<()> {
        match tokio::time::timeout(within, self.consumers.settle(&self.wake)).await {
            Ok(settled) => settled,
            Err(_elapsed) => {
                let consumer = self.consumers.behind(&self.wake).unwrap_or("a stream's function").to_owned();
                Err(Error::Unsettled { consumer })
            }
        }
    }

    /// Makes all functions store the data that they only have in memory, as if Lambda ended their environments.
    pub async fn flush(&self) {
        self.instances.finish().await;
    }

    /// Ends in order: refuses new requests, lets those in flight end, delivers the streams, closes the database.
    pub async fn stop(mut self) -> Result<()> {
        if let Some(gateway) = self.gateway.take() {
            gateway.stop().await;
        }
        self.flush().await;
        if let Err(error) = self.settled(PUMP_MAX).await {
            tracing::warn!(%error, "the rest is delivered after the next start");
        }
        self.stop.stop();
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task of the stack ended badly");
            }
        }
        match self.engine.take() {
            Some(engine) => engine.stop().await,
            None => Ok(()),
        }
    }
}

/// Refuses functions that are only in the template or only in the code.
fn check_registry(template: &Template, functions: &[Function]) -> Result<()> {
    let named: BTreeSet<&str> = template.functions.iter().map(|function| function.name.as_str()).collect();
    let known: BTreeSet<&str> = functions.iter().map(|function| function.name).collect();
    let only = |left: &BTreeSet<&str>, right: &BTreeSet<&str>| -> Vec<String> {
        left.difference(right).map(|name| format!("`{name}`")).collect()
    };
    let (missing, unused) = (only(&named, &known), only(&known, &named));
    if missing.is_empty() && unused.is_empty() {
        return Ok(());
    }
    let mut problems = Vec::new();
    if !missing.is_empty() {
        problems.push(format!("the template names {}, which no crate is", missing.join(", ")));
    }
    if !unused.is_empty() {
        problems.push(format!("the template does not name {}", unused.join(", ")));
    }
    Err(Error::Registry(problems.join("; ")))
}

/// If a function is to be called more often or less, it must be on a schedule, and some time must pass between two
/// calls.
fn check_schedules(template: &Template, every: &BTreeMap<String, Duration>) -> Result<()> {
    let has_one = |name: &str| {
        let mut scheduled = template.functions.iter().filter(|function| !function.schedules.is_empty());
        scheduled.any(|function| function.name == name)
    };
    match every.iter().find(|(name, every)| every.is_zero() || !has_one(name)) {
        Some((name, _)) => Err(Error::NoSchedule(name.clone())),
        None => Ok(()),
    }
}

/// The template's variables, and those that lead the SDK to this machine.
fn environment(function: &crate::template::Function, places: &Places) -> Environment {
    let mut variables = function.variables.clone();
    if let Some(address) = places.gateway {
        for value in variables.values_mut() {
            *value = value.replace(GATEWAY, &format!("http://{address}"));
        }
    }
    let local = [
        ("AWS_ENDPOINT_URL_DYNAMODB", places.dynamodb.as_str()),
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
    ];
    variables.extend(local.map(|(name, value)| (name.to_owned(), value.to_owned())));
    Environment { bell: places.bell.clone(), ..Environment::new(variables) }
}

/// Starts the functions, all at a time; without an HTTP API, only those that something else calls.
async fn start_functions(template: &Template, places: &Places, functions: &[Function]) -> Result<Instances> {
    let starting = template.functions.iter().filter_map(|declared| {
        let called = !declared.streams.is_empty() || !declared.schedules.is_empty();
        if places.gateway.is_none() && !called {
            return None;
        }
        let function = functions.iter().find(|function| function.name == declared.name)?;
        let environment = environment(declared, places);
        Some(async move {
            let started = (function.start)(environment).await;
            let started =
                started.map_err(|source| Error::Function { name: declared.name.clone(), source })?;
            Ok::<_, Error>((declared, started))
        })
    });
    let mut instances = Instances::default();
    for (declared, started) in try_join_all(starting).await? {
        instances.add(declared, started)?;
    }
    Ok(instances)
}

fn subscriptions(
    template: &Template,
    instances: &Instances,
    streams: &BTreeMap<String, String>,
) -> Vec<Subscription> {
    let sources = template.functions.iter().flat_map(|function| {
        function.streams.iter().map(move |source| (function.name.as_str(), source.clone()))
    });
    let subscription = |(name, source): (&str, crate::template::DynamoDbSource)| {
        let instance = instances.whole(name)?.clone();
        let stream_arn = streams.get(&source.table)?.clone();
        Some(Subscription { instance, source, stream_arn })
    };
    sources.filter_map(subscription).collect()
}

/// The routes, and the functions with a URL of their own.
fn routes(
    template: &Template,
    instances: &Instances,
) -> Result<(Routes<Instance>, BTreeMap<String, Target>)> {
    let mut routes = Vec::new();
    let mut urls = BTreeMap::new();
    for function in &template.functions {
        if let Some(instance) = instances.whole(&function.name) {
            routes.extend(function.routes.iter().map(|route| (route.clone(), instance.clone())));
        }
        if function.url.is_some() {
            urls.extend(instances.target(&function.name).map(|target| (function.name.clone(), target)));
        }
    }
    let routes = Routes::new(routes).map_err(|problem| TemplateError::new("Resources", problem))?;
    Ok((routes, urls))
}

fn directory(data: &Path, name: &str) -> Result<PathBuf> {
    let path = data.join(name);
    match fs::create_dir_all(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(Error::Data { path, source }),
    }
}
