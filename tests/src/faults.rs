//! A DynamoDB that fails: a proxy before the real one, with faults that tests plan.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::PATIENCE;

/// A word in every error of the proxy. It must never reach a caller.
pub const SECRET: &str = "internal-text-of-the-store";

/// A gate that requests wait before, until a test opens it.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    /// A gate that is shut.
    pub fn shut() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Lets all pass, from now on.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    async fn opened(&self) {
        let mut is_open = self.0.subscribe();
        is_open.wait_for(|is_open| *is_open).await.expect("the gate is there");
    }
}

impl PartialEq for Gate {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The fault of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// None: it is done and answered.
    None,
    /// It is not done, and the connection closes.
    Lost,
    /// It is done, and the connection closes before the answer.
    AnswerLost,
    /// It is not done, and no answer ever comes.
    Held,
    /// It is done once the gate is open.
    Gated(Gate),
    /// It is done, and no answer ever comes.
    AnswerHeld,
    /// It is not done, and this is the answer.
    Answered(u16, Value),
    /// Of a batch, only this many keys or items are done; the others are left undone.
    LeftOver(usize),
}

impl Fault {
    /// The store throttles.
    pub fn throttled() -> Self {
        Self::error(400, "ProvisionedThroughputExceededException")
    }

    /// The store itself fails.
    pub fn broken() -> Self {
        Self::error(500, "InternalServerError")
    }

    /// A lasting refusal: not allowed, or not understood.
    pub fn refused() -> Self {
        Self::error(400, "AccessDeniedException")
    }

    /// A single write conflicts with a transaction.
    pub fn conflict() -> Self {
        Self::error(400, "TransactionConflictException")
    }

    /// A transaction conflicts with another one.
    pub fn cancelled() -> Self {
        let Self::Answered(status, mut body) = Self::error(400, "TransactionCanceledException") else {
            unreachable!("an error is an answer")
        };
        body["CancellationReasons"] =
            json!([{ "Code": "None" }, { "Code": "TransactionConflict", "Message": SECRET }]);
        Self::Answered(status, body)
    }

    fn error(status: u16, name: &str) -> Self {
        let r#type = format!("com.amazonaws.dynamodb.v20120810#{name}");
        Self::Answered(status, json!({ "__type": r#type, "message": SECRET, "Message": SECRET }))
    }
}

/// A request as the proxy saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its number since the last plan, the first 0.
    pub number: usize,
    /// Its operation, such as `PutItem`.
    pub operation: String,
    /// Its body.
    pub body: Value,
}

type Plan = Box<dyn FnMut(&Seen) -> Fault + Send>;

struct State {
    plan: Plan,
    seen: Vec<Seen>,
    /// Whether the plan also covers writes of usage.
    shows_usage: bool,
}

/// A running proxy, which ends when this value is dropped.
pub struct Proxy {
    url: String,
    state: Arc<Mutex<State>>,
    held: watch::Receiver<usize>,
    task: AbortHandle,
}

impl Proxy {
    /// Starts a proxy before the DynamoDB at this address. At first it forwards all requests.
    pub async fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State {
            plan: Box::new(|_| Fault::None),
            seen: Vec::new(),
            shows_usage: false,
        }));
        let (holding, held) = watch::channel(0);
        let connection = Connection {
            upstream: upstream.to_owned(),
            http: reqwest::Client::new(),
            state: Arc::clone(&state),
            holding: Arc::new(holding),
        };
        let task = tokio::spawn(accept(listener, connection)).abort_handle();
        Self { url, state, held, task }
    }

    /// The proxy's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on, this plan decides each request's fault. Numbers begin again at 0.
    pub fn plan(&self, plan: impl FnMut(&Seen) -> Fault + Send + 'static) {
        let mut state = lock(&self.state);
        (state.plan, state.seen) = (Box::new(plan), Vec::new());
    }

    /// From now on, the plan also covers writes of usage. Else it does not see them, because they come by time.
    pub fn show_usage(&self) {
        lock(&self.state).shows_usage = true;
    }

    /// From now on, this fault hits the request of this number, and no other.
    pub fn spoil(&self, number: usize, fault: Fault) {
        self.plan(move |seen| if seen.number == number { fault.clone() } else { Fault::None });
    }

    /// From now on, there are no faults.
    pub fn heal(&self) {
        self.plan(|_| Fault::None);
    }

    /// The requests since the last plan.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.state).seen.clone()
    }

    /// The operations since the last plan.
    pub fn operations(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.operation).collect()
    }

    /// Waits until this many requests were held since the start.
    pub async fn held(&self, count: usize) {
        let mut held = self.held.clone();
        let waited = tokio::time::timeout(PATIENCE, held.wait_for(|held| *held >= count)).await;
        waited.expect("a request is held").expect("the proxy runs");
    }

    /// How many requests were held since the start.
    pub fn held_so_far(&self) -> usize {
        *self.held.borrow()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An address that refuses every connection. No other process can take it while this value lives.
#[derive(Debug)]
pub struct Closed {
    url: String,
    _bound: TcpSocket,
}

impl Closed {
    /// Takes an address, and never listens on it.
    pub fn take() -> Self {
        let bound = TcpSocket::new_v4().expect("a socket");
        bound.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        Self { url: format!("http://{}", bound.local_addr().expect("an address")), _bound: bound }
    }

    /// The address.
    pub fn url(&self) -> &str {
        &self.url
    }
}

#[derive(Clone)]
struct Connection {
    upstream: String,
    http: reqwest::Client,
    state: Arc<Mutex<State>>,
    holding: Arc<watch::Sender<usize>>,
}

async fn accept(listener: TcpListener, connection: Connection) {
    let mut tasks = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let connection = connection.clone();
        // The caller notices a broken connection.
        tasks.spawn(async move { drop(connection.serve(stream).await) });
    }
}

/// A request in the form of the wire.
struct Wire {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Connection {
    async fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let (reader, mut writer) = stream.into_split();
        let mut reader = BufReader::new(reader);
        while let Some(request) = read(&mut reader).await? {
            let (status, body) = match self.decide(&request) {
                Fault::None => self.pass(&request).await?,
                Fault::Lost => return Ok(()),
                Fault::AnswerLost => {
                    self.pass(&request).await?;
                    return Ok(());
                }
                Fault::Held => self.hold().await,
                Fault::Gated(gate) => {
                    self.holding.send_modify(|held| *held += 1);
                    gate.opened().await;
                    self.pass(&request).await?
                }
                Fault::AnswerHeld => {
                    self.pass(&request).await?;
                    self.hold().await
                }
                Fault::Answered(status, body) => (status, body.to_string()),
                Fault::LeftOver(done) => self.in_part(request, done).await?,
            };
            let head = format!(
                "HTTP/1.1 {status} -\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            writer.write_all((head + &body).as_bytes()).await?;
        }
        Ok(())
    }

    fn decide(&self, request: &Wire) -> Fault {
        let target = request.headers.iter().find(|(name, _)| name == "x-amz-target");
        let operation = target.and_then(|(_, value)| value.split('.').nth(1)).unwrap_or_default().to_owned();
        let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        let mut state = lock(&self.state);
        if is_usage(&body) && !state.shows_usage {
            return Fault::None;
        }
        let seen = Seen { number: state.seen.len(), operation, body };
        let fault = (state.plan)(&seen);
        state.seen.push(seen);
        fault
    }

    async fn hold<T>(&self) -> T {
        self.holding.send_modify(|held| *held += 1);
        std::future::pending().await
    }

    async fn pass(&self, request: &Wire) -> io::Result<(u16, String)> {
        let mut forward = self.http.post(&self.upstream).body(request.body.clone());
        for (name, value) in &request.headers {
            if !["host", "content-length", "connection"].contains(&name.as_str()) {
                forward = forward.header(name, value);
            }
        }
        let response = forward.send().await.map_err(io::Error::other)?;
        let status = response.status().as_u16();
        Ok((status, response.text().await.map_err(io::Error::other)?))
    }

    /// Sends only the first `done` keys or items of each table, and reports the others as undone.
    async fn in_part(&self, mut request: Wire, done: usize) -> io::Result<(u16, String)> {
        let mut body: Value = serde_json::from_slice(&request.body)?;
        let mut left = Map::new();
        for (table, asked) in body["RequestItems"].as_object_mut().into_iter().flatten() {
            let list = if asked.is_array() { &mut *asked } else { &mut asked["Keys"] };
            let list = list.as_array_mut().expect("keys or items");
            let rest = list.split_off(done.min(list.len()));
            if !rest.is_empty() {
                let rest = if asked.is_array() { json!(rest) } else { json!({ "Keys": rest }) };
                left.insert(table.clone(), rest);
            }
        }
        let field = if done_is_read(&request) { "UnprocessedKeys" } else { "UnprocessedItems" };
        if done == 0 {
            return Ok((200, json!({ "Responses": {}, field: left }).to_string()));
        }
        request.body = body.to_string().into_bytes();
        let (status, answer) = self.pass(&request).await?;
        let mut answer: Value = serde_json::from_str(&answer)?;
        answer[field] = Value::Object(left);
        Ok((status, answer.to_string()))
    }
}

/// Whether a request stores the calls of a day.
fn is_usage(body: &Value) -> bool {
    let span = body["TransactItems"][0]["Update"]["Key"]["span"]["S"].as_str();
    span.is_some_and(|span| span.starts_with("day#"))
}

fn done_is_read(request: &Wire) -> bool {
    request.headers.iter().any(|(name, value)| name == "x-amz-target" && value.ends_with("BatchGetItem"))
}

/// Reads one request; `None`: the caller has closed the connection.
async fn read(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Wire>> {
    let mut line = String::new();
    if reader.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await?;
    Ok(Some(Wire { headers, body }))
}
