//! One run: its actors, its events, and the rules for its end.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;

use jobledger::domain::{Status, Timestamp};
use jobledger_tests::Reply;
use jobledger_tests::alone::Request;
use jobledger_tests::stream::Dice;
use serde_json::json;

use crate::callers::{self, Action};
use crate::clock;
use crate::functions::FunctionSet;
use crate::store::Conditions;
use crate::worker::{self, Held};

/// Most jobs of a run.
const MAX_JOBS: usize = 8;
/// Most rounds until all jobs have ended.
const MAX_ROUNDS: usize = 60;
/// The length of a round, in milliseconds: longer than a type is closed.
const ROUND_MS: u64 = 35_000;

/// A run in progress.
pub(crate) struct Run {
    pub(crate) functions: FunctionSet,
    pub(crate) kinds: Vec<String>,
    /// The time at which all actors stop.
    pub(crate) ends_at: Timestamp,
    conditions: Conditions,
    going: RefCell<Vec<Pin<Box<dyn Future<Output = ()>>>>>,
}

/// Some conditions, from good to bad.
fn conditions(dice: &mut Dice) -> Conditions {
    match dice.roll(4) {
        0 => Conditions { usual_ms: 40, ..Conditions::NORMAL },
        1 => Conditions { usual_ms: 40, late_one_in: 20, late_ms: 4_500, wrong_one_in: 0, lag_ms: 1_500 },
        2 => Conditions { usual_ms: 400, late_one_in: 15, late_ms: 2_500, wrong_one_in: 25, lag_ms: 400 },
        _ => Conditions { usual_ms: 80, late_one_in: 10, late_ms: 4_500, wrong_one_in: 10, lag_ms: 1_500 },
    }
}

impl Run {
    /// A run with this many types, which lasts this long.
    pub(crate) async fn start(dice: &mut Dice, kinds: usize, lasts_ms: i64) -> Self {
        let shards = if dice.is_one_in(8) { 3 } else { 1 };
        let functions = FunctionSet::start(Dice::new(dice.roll(u64::MAX)), shards).await;
        let kinds = ["a", "b", "c"].into_iter().take(kinds).map(str::to_owned).collect();
        let (conditions, going) = (conditions(dice), RefCell::default());
        Self { functions, kinds, ends_at: clock::now().plus_millis(lasts_ms), conditions, going }
    }

    /// Some of the run's types.
    pub(crate) fn some_kinds(&self, dice: &mut Dice) -> Vec<String> {
        if dice.is_one_in(3) { vec![dice.pick(&self.kinds).clone()] } else { self.kinds.clone() }
    }

    /// Some job, if there is one.
    pub(crate) fn some_job(&self, dice: &mut Dice) -> Option<String> {
        let ids = self.functions.store.watched(|observer| observer.ids());
        (!ids.is_empty()).then(|| dice.pick(&ids).clone())
    }

    /// Whether there are as many jobs as allowed.
    pub(crate) fn is_full(&self) -> bool {
        self.functions.store.watched(|observer| observer.heads.len()) >= MAX_JOBS
    }

    /// Records a broken rule.
    pub(crate) fn blame(&self, what: String) {
        self.functions.store.watched(|observer| observer.blame(what));
    }

    /// Records an event.
    pub(crate) fn tell(&self, what: String) {
        self.functions.store.watched(|observer| observer.tell(what));
    }

    /// An answer must have one of these statuses. If conditions are bad, it may also be a failure of the service.
    pub(crate) fn expect(&self, what: &str, reply: &Reply, statuses: &[u16]) {
        let is_bad = self.conditions.wrong_one_in > 0 || self.conditions.late_one_in > 0;
        if !(statuses.contains(&reply.status) || (is_bad && reply.status >= 500)) {
            self.blame(format!("{what} was answered {} {}", reply.status, reply.text));
        }
    }

    /// Starts a task beside all others.
    pub(crate) fn go(&self, something: impl Future<Output = ()> + 'static) {
        self.going.borrow_mut().push(Box::pin(something));
    }

    /// Waits until all tasks have ended.
    pub(crate) async fn all_have_stopped(&self) {
        let mut tasks = tokio::task::JoinSet::new();
        loop {
            for going in self.going.take() {
                tasks.spawn_local(going);
            }
            // A task may have started others. The loop looks for them at each moment.
            tokio::select! {
                biased;
                ended = tasks.join_next() => match ended {
                    Some(ended) => ended.expect("it ends well"),
                    None => return,
                },
                () = clock::pass(50) => {}
            }
        }
    }

    /// From now on, this run's conditions hold.
    pub(crate) fn begin_weather(&self) {
        self.functions.store.conditions(self.conditions);
        self.functions.cut(if self.conditions.wrong_one_in > 0 { 25 } else { 0 });
    }

    /// All broken rules, and all events.
    pub(crate) fn told(&self) -> (Vec<String>, Vec<String>) {
        self.functions.store.watched(|observer| (observer.wrong.clone(), observer.log.clone()))
    }

    /// A story: all actors act, in any conditions, until the run ends.
    pub(crate) async fn happen(self: &Rc<Self>, dice: &mut Dice, workers: usize) {
        for kind in &self.kinds {
            if dice.is_one_in(3) {
                let body = callers::settings(dice).to_string();
                let request = Request::new("PUT", &format!("/v1/types/{kind}")).body(body);
                let reply = self.functions.call("type-settings", &request).await.expect("an answer");
                self.expect("settings", &reply, &[200]);
            }
        }
        callers::begin(self, 2 + dice.below(MAX_JOBS - 3), dice).await;
        self.begin_weather();
        for number in 0..workers {
            let dice = Dice::new(dice.roll(u64::MAX));
            self.go(worker::work(Rc::clone(self), format!("w{number}"), dice));
        }
        let habits = Action::SOMETIMES.into_iter().filter(|_| dice.is_one_in(3));
        let habits: Vec<_> = habits.chain([Action::Reap]).collect();
        self.tell(format!("{} workers, {habits:?}, {:?}", workers, self.conditions));
        for action in habits {
            self.go(callers::live(Rc::clone(self), action, Dice::new(dice.roll(u64::MAX))));
        }
        self.all_have_stopped().await;
    }

    /// In normal conditions, one worker and the reaper end all jobs that are left.
    pub(crate) async fn settle(&self) {
        self.functions.store.conditions(Conditions::NORMAL);
        self.functions.cut(0);
        for kind in &self.kinds {
            let resume = Request::new("POST", &format!("/v1/types/{kind}/resume"));
            let reply = self.functions.call("type-settings", &resume).await.expect("an answer");
            self.expect("resume", &reply, &[200]);
        }
        for _ in 0..MAX_ROUNDS {
            // Requests of callers that gave up may still arrive, and leases may still be valid.
            clock::pass(ROUND_MS).await;
            let began = clock::now();
            if !callers::reap(self).await {
                self.blame("the reaper failed in fair conditions".to_owned());
            }
            let stuck = |observer: &mut crate::observer::Observer| {
                let is_stuck =
                    |seen: &&crate::stored::StoredHead| seen.until.is_some_and(|until| until < began);
                observer.heads.values().filter(is_stuck).count()
            };
            if self.functions.store.watched(stuck) > 0 {
                self.blame("the reaper left a try whose lease had run out".to_owned());
            }
            while self.drain().await {}
            let is_over = self.functions.store.watched(|observer| {
                let is_done = |seen: &crate::stored::StoredHead| {
                    seen.status.is_ended()
                        || seen.available_at.is_some_and(|due| due > clock::now().plus_millis(3_600_000))
                };
                observer.heads.values().all(is_done)
            });
            if is_over {
                return self.is_well_ended().await;
            }
        }
        let left: Vec<_> = self.functions.store.watched(|observer| {
            let left = observer.heads.iter().filter(|(_, seen)| !seen.status.is_ended());
            left.map(|(id, seen)| format!("{id} {seen}")).collect()
        });
        self.blame(format!("these never ended: {left:?}"));
    }

    /// Claims and completes jobs; false: the claim returned none.
    async fn drain(&self) -> bool {
        let body = json!({ "worker_id": "last", "types": self.kinds, "max": 10 });
        let reply = self.functions.claim(&body).await.expect("an answer");
        if reply.status != 200 {
            self.blame(format!("a claim in fair conditions: {}", reply.text));
            return false;
        }
        let jobs = reply.json["jobs"].as_array().cloned().unwrap_or_default();
        for job in &jobs {
            self.functions.store.watched(|observer| observer.hand_out("last", job));
            if worker::complete(self, &Held::of(job, 60_000)).await != Some(200) {
                self.blame(format!("{} could not be completed in fair conditions", job["job_id"]));
            }
        }
        !jobs.is_empty()
    }

    /// The rules for the end of a run.
    async fn is_well_ended(&self) {
        let running: Vec<_> = self.functions.store.watched(|observer| {
            observer.types.iter().filter(|(_, of)| of.running != 0).map(|(kind, _)| kind.clone()).collect()
        });
        if !running.is_empty() {
            self.blame(format!("slots of {running:?} are taken, and nothing runs"));
        }
        let done: Vec<_> = self.functions.store.watched(|observer| {
            let done = observer.heads.iter().filter(|(_, seen)| seen.status == Status::Completed);
            done.filter_map(|(id, seen)| Some((id.clone(), seen.token.clone()?))).collect()
        });
        for (id, token) in done {
            let request = Request::new("GET", &format!("/v1/jobs/{id}"));
            let reply = self.functions.call("get-job", &request).await.expect("an answer");
            if reply.json["result"]["by"] != json!(token) {
                self.blame(format!("{id} has not the result of its holder: {}", reply.text));
            }
        }
    }
}
