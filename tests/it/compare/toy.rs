//! The schema of `tests/clients/compare/toy.graphql`, with the answers of `toy.mjs` beside it: what is said of them
//! there holds here.
#![allow(clippy::unused_async, clippy::used_underscore_binding, reason = "the library's macros want it so")]

use std::sync::{Arc, LazyLock, Mutex};

use async_graphql::{
    Context, Enum, ID, InputObject, InputValueError, InputValueResult, Interface, MaybeUndefined, Object, Result,
    Scalar, ScalarType, Schema, Subscription, Union, Value,
};
use futures_util::Stream;
use futures_util::stream::{Empty, iter};
use regex::Regex;
use serde::Serialize;

/// The schema, which answers by itself.
pub fn toy() -> Schema<Query, Mutation, Events> {
    Schema::build(Query, Mutation, Events)
        // The interfaces that no field has for its type but with which documents may begin a fragment.
        .register_output_type::<Node>()
        .register_output_type::<Named>()
        .register_output_type::<Pet>()
        .register_output_type::<Machine>()
        .finish()
}

/// The mutations of one request, as they were called: data of the request.
#[derive(Clone, Default)]
pub struct Calls(Arc<Mutex<Vec<String>>>);

impl Calls {
    fn note(ctx: &Context<'_>, name: &str, arguments: Told) {
        let calls = ctx.data_unchecked::<Self>();
        calls.0.lock().expect("nobody panicked").push(format!("{name}{}", arguments.text()));
    }

    /// All of them, in their order.
    pub fn all(&self) -> Vec<String> {
        self.0.lock().expect("nobody panicked").clone()
    }
}

/// Comes back after so many turns of the others.
async fn late(ticks: i32) {
    for _ in 0..ticks {
        tokio::task::yield_now().await;
    }
}

/// Arguments as text.
#[derive(Default)]
struct Told(serde_json::Map<String, serde_json::Value>);

impl Told {
    fn of(mut self, name: &str, value: impl Serialize) -> Self {
        self.0.insert(
            name.to_owned(),
            serde_json::to_value(value).expect("what was read as JSON can be written as such"),
        );
        self
    }

    /// Left out where it is absent.
    fn maybe<T: Serialize>(self, name: &str, value: MaybeUndefined<T>) -> Self {
        match value {
            MaybeUndefined::Undefined => self,
            MaybeUndefined::Null => self.of(name, ()),
            MaybeUndefined::Value(value) => self.of(name, value),
        }
    }

    fn text(self) -> String {
        text(&self.0.into())
    }
}

fn text(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Number(number) => digits(number.as_f64().expect("a double")),
        Value::Array(list) => format!("[{}]", list.iter().map(text).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|&(name, _)| name);
            let fields: Vec<_> = fields
                .into_iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), text(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        plain => plain.to_string(),
    }
}

fn digits(number: f64) -> String {
    const END_OF_WHOLE: f64 = 9_007_199_254_740_992.0; // 2^53
    let whole = number.fract() == 0.0 && number.abs() < END_OF_WHOLE;
    // Adding it makes 0 of -0.
    if whole { format!("{}", number + 0.0) } else { format!("{number:e}") }
}

/// A time in UTC, as it was written.
#[derive(Clone, Serialize)]
pub struct Time(String);

impl Time {
    /// What such a value looks like.
    pub fn check(value: &str) -> std::result::Result<(), &'static str> {
        static SHAPE: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"^\d{4}-(0[1-9]|1[0-2])-([0-2]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$").expect("a pattern")
        });
        if SHAPE.is_match(value) { Ok(()) } else { Err("This is no time in UTC as RFC 3339 writes it.") }
    }
}

#[Scalar(name = "DateTime")]
impl ScalarType for Time {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Self::check(&text).map(|()| Self(text)).map_err(InputValueError::custom),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        self.0.clone().into()
    }
}

#[derive(Clone, Serialize)]
pub struct Anything(serde_json::Value);

#[Scalar(name = "JSON")]
impl ScalarType for Anything {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Self(value.into_json()?))
    }

    fn to_value(&self) -> Value {
        Value::from_json(self.0.clone()).unwrap_or_default()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Colour {
    Red,
    Green,
    Blue,
}

#[derive(InputObject, Serialize)]
pub struct Point {
    x: i32,
    #[graphql(default = 7)]
    y: i32,
    #[graphql(default_with = "None")]
    label: Option<String>,
}

#[derive(InputObject, Serialize)]
pub struct Wish {
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    count: MaybeUndefined<i32>,
    must: i32,
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    ratio: MaybeUndefined<f64>,
    #[graphql(default = "none")]
    text: String,
    #[graphql(default_with = "Some(Colour::Blue)")]
    colour: Option<Colour>,
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    colours: MaybeUndefined<Vec<Colour>>,
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    inner: MaybeUndefined<Box<Wish>>,
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    more: MaybeUndefined<Vec<Wish>>,
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    grid: MaybeUndefined<Vec<Option<Vec<Option<bool>>>>>,
    #[graphql(default_with = "Some(Point { x: 1, y: 7, label: None })")]
    point: Option<Point>,
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    at: MaybeUndefined<Time>,
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    json: MaybeUndefined<Anything>,
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    id: MaybeUndefined<ID>,
}

#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID"))]
pub enum Node {
    Being(Being),
    Cat(Cat),
    Dog(Dog),
}

#[derive(Interface)]
#[graphql(field(name = "name", ty = "Result<Option<String>>"))]
pub enum Named {
    Being(Being),
    Cat(Cat),
    Dog(Dog),
    Robot(Robot),
}

#[derive(Interface)]
#[graphql(
    field(name = "id", ty = "ID"),
    field(name = "name", ty = "Option<String>"),
    field(
        name = "colour",
        ty = "Result<Option<Colour>>",
        arg(name = "like", ty = "Colour", default_with = "Colour::Red")
    ),
    field(name = "friend", ty = "Option<Being>"),
    field(
        name = "family",
        ty = "Option<Vec<Option<Being>>>",
        arg(name = "first", ty = "Option<i32>", default_with = "Some(2)")
    )
)]
pub enum Being {
    Cat(Cat),
    Dog(Dog),
}

#[derive(Union)]
pub enum Pet {
    Cat(Cat),
    Dog(Dog),
}

#[derive(Union)]
pub enum Thing {
    Cat(Cat),
    Dog(Dog),
    Robot(Robot),
}

#[derive(Union)]
pub enum Machine {
    Robot(Robot),
    Dog(Dog),
}

pub struct Cat {
    name: String,
}

pub struct Dog;

pub struct Robot;

pub struct Lists;

pub struct Query;

pub struct Mutation;

pub struct Events;

fn cat(name: &str) -> Cat {
    Cat { name: name.to_owned() }
}

fn tom() -> Cat {
    cat("Tom")
}

#[Object]
impl Cat {
    async fn id(&self) -> ID {
        late(2).await;
        "1".into()
    }

    async fn name(&self) -> Option<String> {
        Some(self.name.clone())
    }

    async fn colour(&self, #[graphql(default_with = "Colour::Red")] like: Colour) -> Result<Option<Colour>> {
        late(1).await;
        Ok(Some(like))
    }

    async fn friend(&self) -> Option<Being> {
        late(1).await;
        Some(Dog.into())
    }

    async fn family(&self, #[graphql(default_with = "Some(2)")] first: Option<i32>) -> Option<Vec<Option<Being>>> {
        let first = usize::try_from(first.unwrap_or(3)).unwrap_or(0);
        Some([Some(tom().into()), None, Some(Dog.into())].into_iter().take(first).collect())
    }

    async fn lives(&self) -> i32 {
        9
    }

    async fn owner(&self) -> Option<Thing> {
        late(1).await;
        Some(Robot.into())
    }

    #[graphql(name = "self")]
    async fn itself(&self) -> Option<Cat> {
        Some(cat(&self.name))
    }

    async fn kittens(
        &self,
        #[graphql(name = "first")] _first: MaybeUndefined<i32>,
        tags: MaybeUndefined<Vec<String>>,
    ) -> Option<Vec<Cat>> {
        if tags.is_null() { None } else { Some(vec![cat("Kit"), cat("Kat")]) }
    }

    async fn echo(&self, wish: MaybeUndefined<Wish>, json: MaybeUndefined<Anything>) -> Option<String> {
        Some(Told::default().maybe("wish", wish).maybe("json", json).text())
    }

    async fn born(&self) -> Option<Time> {
        Some(Time("2026-01-31T12:00:00Z".to_owned()))
    }

    async fn secret(&self) -> Result<Option<String>> {
        late(1).await;
        Err("secret".into())
    }
}

#[Object]
impl Dog {
    async fn id(&self) -> ID {
        "2".into()
    }

    async fn name(&self) -> Option<String> {
        late(1).await;
        None
    }

    async fn colour(
        &self,
        #[graphql(name = "like", default_with = "Colour::Red")] _like: Colour,
    ) -> Result<Option<Colour>> {
        Err("colour".into())
    }

    async fn friend(&self) -> Option<Being> {
        None
    }

    async fn family(
        &self,
        #[graphql(name = "first", default_with = "Some(2)")] _first: Option<i32>,
    ) -> Option<Vec<Option<Being>>> {
        late(2).await;
        Some(Vec::new())
    }

    async fn lives(&self) -> Option<i32> {
        None
    }

    async fn owner(&self) -> Thing {
        late(2).await;
        tom().into()
    }

    #[graphql(name = "self")]
    async fn itself(&self) -> Dog {
        Dog
    }

    async fn puppies(&self) -> Option<Vec<Option<Dog>>> {
        Some(vec![None, Some(Dog)])
    }

    async fn bone(&self) -> Result<Option<Dog>> {
        Err("bone".into())
    }

    async fn must(&self) -> Result<Dog> {
        late(1).await;
        Err("must".into())
    }
}

#[Object]
impl Robot {
    async fn name(&self) -> Result<String> {
        late(1).await;
        Err("name".into())
    }

    async fn serial(&self) -> Option<f64> {
        Some(1.5)
    }

    async fn id(&self) -> Option<ID> {
        late(2).await;
        None
    }

    async fn parts(&self) -> Option<Vec<Robot>> {
        Some(vec![Robot])
    }

    async fn rows(&self) -> Option<Vec<Vec<Option<Robot>>>> {
        Some(vec![vec![Some(Robot), None], Vec::new()])
    }

    async fn maker(&self) -> Option<Named> {
        Some(cat("Maker").into())
    }
}

#[Object]
impl Lists {
    async fn numbers(&self) -> Option<Vec<Option<i32>>> {
        Some(vec![Some(1), None, Some(3)])
    }

    async fn table(&self) -> Option<Vec<Option<Vec<i32>>>> {
        Some(vec![Some(vec![1, 2]), None, Some(Vec::new())])
    }

    async fn empty(&self) -> Vec<Robot> {
        Vec::new()
    }

    async fn none(&self) -> Option<Vec<Cat>> {
        None
    }

    async fn robots(&self) -> Option<Vec<Option<Robot>>> {
        Some(vec![Some(Robot), None, Some(Robot)])
    }

    async fn robots_all(&self) -> Option<Vec<Robot>> {
        Some(vec![Robot, Robot])
    }

    async fn rows(&self) -> Option<Vec<Option<Vec<Robot>>>> {
        Some(vec![Some(vec![Robot]), None, Some(Vec::new())])
    }

    async fn rows_all(&self) -> Option<Vec<Vec<Robot>>> {
        Some(vec![Vec::new(), vec![Robot]])
    }

    async fn cube(&self) -> Option<Vec<Vec<Option<Vec<Robot>>>>> {
        Some(vec![vec![Some(vec![Robot]), None], vec![Some(Vec::new())]])
    }

    async fn things(&self) -> Option<Vec<Option<Thing>>> {
        Some(vec![Some(tom().into()), None, Some(Dog.into()), Some(Robot.into())])
    }

    async fn named(&self) -> Vec<Vec<Option<Named>>> {
        vec![vec![Some(tom().into()), Some(Dog.into())], vec![Some(Robot.into()), None]]
    }

    async fn beings(&self) -> Vec<Being> {
        vec![Dog.into(), tom().into()]
    }

    async fn broken(&self) -> Result<Option<Vec<i32>>> {
        Err("broken".into())
    }

    async fn broken_all(&self) -> Result<Vec<Robot>> {
        late(1).await;
        Err("brokenAll".into())
    }
}

#[Object]
impl Query {
    async fn cat(&self, #[graphql(name = "id")] _id: ID) -> Option<Cat> {
        late(2).await;
        Some(tom())
    }

    async fn dog(&self) -> Dog {
        Dog
    }

    async fn robot(&self) -> Option<Robot> {
        late(1).await;
        Some(Robot)
    }

    async fn node(&self, id: MaybeUndefined<ID>) -> Result<Option<Node>> {
        Ok(match id {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(tom().into()),
            MaybeUndefined::Value(id) => match id.as_str() {
                "fault" => return Err("node".into()),
                "1" | "x" => Some(tom().into()),
                _ => Some(Dog.into()),
            },
        })
    }

    async fn being(&self, #[graphql(default_with = "Colour::Green")] colour: Colour) -> Option<Being> {
        match colour {
            Colour::Red => Some(tom().into()),
            Colour::Green => Some(Dog.into()),
            Colour::Blue => None,
        }
    }

    async fn named(&self, #[graphql(default_with = "Some(0)")] nth: Option<i32>) -> Option<Named> {
        match nth {
            Some(0) => Some(Robot.into()),
            Some(1) => Some(tom().into()),
            Some(2) => Some(Dog.into()),
            _ => None,
        }
    }

    async fn pet(&self) -> Option<Pet> {
        late(3).await;
        Some(tom().into())
    }

    async fn thing(&self, #[graphql(default = 0)] nth: i32) -> Option<Thing> {
        match nth {
            0 => Some(tom().into()),
            1 => Some(Dog.into()),
            2 => Some(Robot.into()),
            _ => None,
        }
    }

    async fn machines(&self) -> Option<Vec<Machine>> {
        Some(vec![Dog.into(), Robot.into()])
    }

    async fn lists(&self) -> Option<Lists> {
        Some(Lists)
    }

    async fn nothing(&self) -> Option<Cat> {
        None
    }

    #[graphql(name = "self")]
    async fn itself(&self) -> Option<Query> {
        Some(Query)
    }

    async fn slow(&self, #[graphql(default = 3)] ticks: i32) -> Option<i32> {
        late(ticks.min(5)).await;
        Some(ticks.min(5))
    }

    async fn json(&self) -> Option<Anything> {
        Some(Anything(serde_json::json!({ "a": [1, null, "x"], "b": { "c": true } })))
    }

    async fn tell(&self, json: Anything, each: MaybeUndefined<Vec<Anything>>) -> Option<String> {
        Some(Told::default().of("json", json).maybe("each", each).text())
    }

    #[expect(clippy::too_many_arguments, reason = "one of each kind")]
    async fn echo(
        &self,
        wish: MaybeUndefined<Wish>,
        wishes: MaybeUndefined<Vec<Wish>>,
        texts: MaybeUndefined<Vec<Option<String>>>,
        grid: MaybeUndefined<Vec<Vec<String>>>,
        json: MaybeUndefined<Anything>,
        ratio: MaybeUndefined<f64>,
        whole: MaybeUndefined<i32>,
        #[graphql(default = true)] flag: bool,
        at: MaybeUndefined<Time>,
        id: MaybeUndefined<ID>,
        #[graphql(default_with = "Some(vec![Colour::Red, Colour::Blue])")] colours: Option<Vec<Colour>>,
        #[graphql(default = "plain")] text: String,
    ) -> Option<String> {
        let told =
            Told::default().maybe("wish", wish).maybe("wishes", wishes).maybe("texts", texts).maybe("grid", grid);
        let told = told.maybe("json", json).maybe("ratio", ratio).maybe("whole", whole).of("flag", flag);
        Some(told.maybe("at", at).maybe("id", id).of("colours", colours).of("text", text).text())
    }

    async fn broken(&self) -> Result<Option<i32>> {
        late(1).await;
        Err("broken".into())
    }
}

#[Object]
impl Mutation {
    async fn add(&self, ctx: &Context<'_>, wish: Wish) -> Option<Cat> {
        let name = Told::default().of("wish", &wish).text();
        Calls::note(ctx, "add", Told::default().of("wish", wish));
        late(1).await;
        Some(cat(&name))
    }

    async fn patch(
        &self,
        ctx: &Context<'_>,
        id: ID,
        title: MaybeUndefined<String>,
        until: MaybeUndefined<Time>,
        tags: MaybeUndefined<Vec<String>>,
        wish: MaybeUndefined<Wish>,
    ) -> Option<String> {
        let told = Told::default().of("id", id).maybe("title", title).maybe("until", until).maybe("tags", tags);
        let told = told.maybe("wish", wish);
        let text = text(&told.0.clone().into());
        Calls::note(ctx, "patch", told);
        Some(text)
    }

    async fn remove(
        &self,
        ctx: &Context<'_>,
        id: ID,
        #[graphql(default_with = "Some(Colour::Red)")] colour: Option<Colour>,
    ) -> bool {
        Calls::note(ctx, "remove", Told::default().of("id", id).of("colour", colour));
        late(2).await;
        true
    }

    async fn slow(&self, ctx: &Context<'_>, #[graphql(default = 3)] ticks: i32) -> i32 {
        Calls::note(ctx, "slow", Told::default().of("ticks", ticks));
        late(ticks.min(5)).await;
        ticks.min(5)
    }

    async fn fail(&self, ctx: &Context<'_>, why: MaybeUndefined<String>) -> Result<Option<i32>> {
        Calls::note(ctx, "fail", Told::default().maybe("why", why));
        late(1).await;
        Err("fail".into())
    }

    async fn fail_must(&self, ctx: &Context<'_>) -> Result<i32> {
        Calls::note(ctx, "failMust", Told::default());
        Err("failMust".into())
    }
}

#[Subscription(name = "Subscription")]
impl Events {
    async fn ticks(
        &self,
        #[graphql(default_with = "Some(1)")] from: Option<i32>,
        #[graphql(default = 3)] to: i32,
    ) -> impl Stream<Item = Option<i32>> {
        let from = from.unwrap_or(1);
        iter((from..=to.min(from.saturating_add(3))).map(Some))
    }

    async fn beings(&self) -> impl Stream<Item = Option<Being>> {
        iter([Some(tom().into()), Some(Dog.into()), None])
    }

    async fn things(&self, wish: MaybeUndefined<Wish>) -> impl Stream<Item = Thing> {
        let first = cat(&Told::default().maybe("wish", wish).text());
        iter([first.into(), Robot.into(), Dog.into()])
    }

    async fn broken(&self) -> Result<impl Stream<Item = Option<i32>>> {
        Err::<Empty<Option<i32>>, _>("broken".into())
    }
}
