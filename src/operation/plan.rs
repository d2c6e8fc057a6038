//! What is selected, collected into fields (section 6.3.2 of the specification), and the operation that the library gets.
//!
//! A [`Shape`] depends on the document, the operation and the conditions of `@skip` and `@include` alone, so that it can
//! be kept; the values of variables fill its slots. Where a place may hold objects of several types, types that select
//! the same are put into one [`Class`]. What all classes select alike is resolved once, the rest in `... on T` of each
//! type, as the library knows no other condition that names a class.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use apollo_compiler::ast::{Type, Value as Ast};
use apollo_compiler::executable::{Directive, Field as Selected, Operation as Definition, Selection, SelectionSet};
use apollo_compiler::parser::SourceMap;
use apollo_compiler::{ExecutableDocument, Name, Node};
use async_graphql::indexmap::{IndexMap, IndexSet};
use async_graphql::parser::types::{
    self as library, DocumentOperations, InlineFragment, OperationDefinition, OperationType, TypeCondition,
};
use async_graphql::{Name as Key, Pos, Positioned, Request, Value};
use sha2::{Digest, Sha256};

use super::coerce::Values;
use super::cost::Cost;
use super::introspection::Asked;
use super::refusal::{Bound, Lines, Refusal, source};
use super::size::too_much_schema;
use super::{Compiler, Limits};

/// The key under which the library tells an object's type. No document can write it, so nobody's alias is in its way.
pub(super) const TYPE: &str = "#type";

/// How much of the schema may be asked for at once.
const MAX_SCHEMA_WEIGHT: usize = 10;

/// What an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Reads.
    Query,
    /// Changes, one root field after the other.
    Mutation,
    /// Follows.
    Subscription,
}

impl Kind {
    /// As the document writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Mutation => "mutation",
            Self::Subscription => "subscription",
        }
    }
}

impl From<apollo_compiler::ast::OperationType> for Kind {
    fn from(ty: apollo_compiler::ast::OperationType) -> Self {
        use apollo_compiler::ast::OperationType as Type;
        match ty {
            Type::Query => Self::Query,
            Type::Mutation => Self::Mutation,
            Type::Subscription => Self::Subscription,
        }
    }
}

/// The arguments of a field, coerced; one that is absent has no entry.
pub(super) type Arguments = Vec<(Key, Value)>;

/// What is selected of an operation, apart from the values of its variables.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    pub(super) name: Option<Box<str>>,
    pub(super) root: Arc<Set>,
    slots: Vec<Slot>,
    /// Whether a field depends on the member that asks.
    personal: bool,
    /// Levels of fields, aliases: of the place that has most of them.
    depth: usize,
    aliases: usize,
}

/// The arguments of a field that has variables among them.
#[derive(Debug)]
struct Slot(Vec<(Key, Type, Node<Ast>)>);

/// What is selected of an object, an interface or a union.
#[derive(Debug)]
pub(super) struct Set {
    /// The interface or union.
    on: Option<Key>,
    /// Whether the type of the object has to be asked for.
    pub(super) typed: bool,
    /// What every class selects alike.
    shared: Vec<Arc<Field>>,
    /// At least one.
    pub(super) classes: Vec<Class>,
    /// The class of each type, where there are several.
    pub(super) class_of: HashMap<Key, usize>,
}

/// Types that select the same.
#[derive(Debug)]
pub(super) struct Class {
    types: Vec<Key>,
    /// What is not shared.
    own: Vec<Arc<Field>>,
    /// All of it, in the order of the answer.
    pub(super) answer: Vec<Answer>,
    /// The names of those, and the places of those that have something below them.
    pub(super) keys: Vec<Key>,
    pub(super) nested: Vec<usize>,
}

/// A field of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) field: Arc<Field>,
    /// Its type, on the object.
    pub(super) ty: Type,
}

/// A field that is resolved once.
#[derive(Debug)]
pub(super) struct Field {
    /// Its name in the answer.
    pub(super) key: Key,
    alias: Option<Key>,
    name: Key,
    pos: Pos,
    arguments: Given,
    pub(super) below: Option<Arc<Set>>,
    cost: Cost,
    /// `__schema` or `__type`: the library is not asked.
    pub(super) of_schema: bool,
}

#[derive(Debug)]
enum Given {
    Fixed(Arguments),
    Slot(usize),
}

/// An operation with its values. It may be executed several times.
#[derive(Clone)]
pub struct Operation {
    pub(super) shape: Arc<Shape>,
    slots: Arc<[Arguments]>,
    pub(super) asked: Option<Arc<Asked>>,
    /// The argument of a root field that is left out.
    without: Option<&'static str>,
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation").field("kind", &self.kind()).field("name", &self.name()).finish_non_exhaustive()
    }
}

impl Operation {
    /// What it is.
    pub fn kind(&self) -> Kind {
        self.shape.kind
    }

    /// Its name in the document.
    pub fn name(&self) -> Option<&str> {
        self.shape.name.as_deref()
    }

    /// Whether the value of a field of it depends on the member that asks, beyond its company and roles.
    pub fn is_personal(&self) -> bool {
        self.shape.personal
    }

    /// Whether there is anything to resolve. A query for the schema alone, or one whose fields are all left out, is
    /// settled out of nothing.
    pub fn executes(&self) -> bool {
        self.shape.root.resolved().next().is_some()
    }

    /// Whether the schema is asked for.
    pub(super) fn introspects(&self) -> bool {
        self.root().any(|field| field.of_schema)
    }

    /// Whether that root field asks for the schema.
    pub(super) fn is_of_schema(&self, key: &Key) -> bool {
        self.root().any(|field| field.of_schema && field.key == *key)
    }

    fn root(&self) -> impl Iterator<Item = &Field> {
        self.shape.root.classes.iter().flat_map(|class| &class.answer).map(|answer| &*answer.field)
    }

    /// The value of an argument of the one root field of a subscription.
    pub fn root_argument(&self, name: &str) -> Option<&Value> {
        let field = self.root().next()?;
        self.arguments(field).iter().find(|(key, _)| key.as_str() == name).map(|(_, value)| value)
    }

    /// The same without an argument of its root fields.
    pub fn without(mut self, argument: &'static str) -> Self {
        self.without = Some(argument);
        self
    }

    /// What the library gets: the operation, in the request.
    pub fn fill(&self, mut request: Request) -> Request {
        let set = self.set(&self.shape.root, self.without);
        let ty = match self.shape.kind {
            Kind::Query => OperationType::Query,
            Kind::Mutation => OperationType::Mutation,
            Kind::Subscription => OperationType::Subscription,
        };
        let definition = OperationDefinition {
            ty,
            variable_definitions: Vec::new(),
            directives: Vec::new(),
            selection_set: at(Pos::default(), set),
        };
        request.set_parsed_query(library::ExecutableDocument {
            operations: DocumentOperations::Single(at(Pos::default(), definition)),
            fragments: HashMap::new(),
        });
        request
    }

    /// A request of its own, without data for the resolvers.
    pub fn request(&self) -> Request {
        self.fill(Request::new(""))
    }

    /// A digest of all that makes the answer: two operations of the same digest ask the same, however they are written.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.to_string());
        hash.finalize().into()
    }

    fn arguments<'s>(&'s self, field: &'s Field) -> &'s Arguments {
        match &field.arguments {
            Given::Fixed(arguments) => arguments,
            Given::Slot(slot) => &self.slots[*slot],
        }
    }

    fn set(&self, set: &Set, without: Option<&str>) -> library::SelectionSet {
        let mut items = Vec::with_capacity(set.shared.len() + 1);
        if set.typed {
            items.push(select(Some(Key::new(TYPE)), Key::new("__typename"), Pos::default(), Vec::new(), Vec::new()));
        }
        let resolved = |fields: &[Arc<Field>]| {
            fields.iter().filter(|field| !field.of_schema).map(|field| self.field(field, without)).collect::<Vec<_>>()
        };
        match &set.on {
            // There the library loses the paths of errors; in a fragment the object's own resolvers are called.
            Some(on) if !set.shared.is_empty() => items.push(fragment(on.clone(), resolved(&set.shared))),
            _ => items.extend(resolved(&set.shared)),
        }
        for class in set.classes.iter().filter(|class| !class.own.is_empty()) {
            let own = resolved(&class.own);
            items.extend(class.types.iter().map(|ty| fragment(ty.clone(), own.clone())));
        }
        library::SelectionSet { items }
    }

    fn field(&self, field: &Field, without: Option<&str>) -> Positioned<library::Selection> {
        let pos = field.pos;
        let given = self.arguments(field).iter().filter(|(name, _)| without != Some(name.as_str()));
        let arguments =
            given.map(|(name, value)| (at(pos, name.clone()), at(pos, value.clone().into_value()))).collect();
        let items = field.below.as_ref().map(|below| self.set(below, None).items).unwrap_or_default();
        select(field.alias.clone(), field.name.clone(), pos, arguments, items)
    }

    fn cost(&self, set: &Set) -> usize {
        let sum = |fields: &[Arc<Field>]| {
            fields.iter().fold(0_usize, |sum, field| {
                let below = field.below.as_ref().map_or(0, |below| self.cost(below));
                let arguments = self.arguments(field);
                let argument =
                    |name: &str| arguments.iter().find(|(key, _)| key.as_str() == name).map(|(_, value)| value);
                sum.saturating_add(field.cost.of(below, argument))
            })
        };
        let dearest = set.classes.iter().map(|class| sum(&class.own)).max().unwrap_or(0);
        sum(&set.shared).saturating_add(dearest)
    }
}

/// The operation as it is executed, in GraphQL's own language.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().as_str())?;
        self.write(&self.shape.root, self.without, f)
    }
}

impl Operation {
    fn write(&self, set: &Set, without: Option<&str>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        self.write_fields(&set.shared, without, f)?;
        for class in set.classes.iter().filter(|class| !class.own.is_empty()) {
            for ty in &class.types {
                write!(f, "...on {ty}{{")?;
                self.write_fields(&class.own, without, f)?;
                f.write_str("}")?;
            }
        }
        // The order of the answer is not that in which it is resolved.
        if set.classes.len() > 1 {
            for class in &set.classes {
                f.write_str("#")?;
                class.answer.iter().try_for_each(|answer| write!(f, "{},", answer.field.key))?;
            }
            f.write_str("\n")?;
        }
        f.write_str("}")
    }

    fn write_fields(&self, fields: &[Arc<Field>], without: Option<&str>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for field in fields {
            write!(f, "{}:{}(", field.key, field.name)?;
            for (name, value) in self.arguments(field).iter().filter(|(name, _)| without != Some(name.as_str())) {
                write!(f, "{name}:{value},")?;
            }
            f.write_str(")")?;
            if let Some(below) = &field.below {
                self.write(below, None, f)?;
            }
        }
        Ok(())
    }
}

impl Class {
    /// How much of the schema is asked for: `__type` weighs one, `__schema` five. Each is walked again for itself.
    fn weight(&self) -> usize {
        let weight = |answer: &Answer| match answer.field.name.as_str() {
            _ if !answer.field.of_schema => 0,
            "__schema" => 5,
            _ => 1,
        };
        self.answer.iter().map(weight).sum()
    }
}

impl Set {
    /// What the library is asked for.
    fn resolved(&self) -> impl Iterator<Item = &Arc<Field>> {
        self.shared.iter().chain(self.classes.iter().flat_map(|class| &class.own)).filter(|field| !field.of_schema)
    }

    /// About how much memory it takes.
    fn bytes(&self) -> usize {
        let fields = |fields: &[Arc<Field>]| fields.iter().map(|field| field.bytes()).sum::<usize>();
        let class = |class: &Class| {
            let own = fields(&class.own) + class.types.len() * (size_of::<Key>() + 32) + class.own.len() * 8;
            size_of::<Class>() + own + class.answer.len() * (size_of::<Answer>() + 8)
        };
        let classes = self.classes.iter().map(class).sum::<usize>();
        size_of::<Self>() + 16 + fields(&self.shared) + self.shared.len() * 8 + classes + self.class_of.len() * 48
    }
}

impl Field {
    fn bytes(&self) -> usize {
        let names =
            [Some(&self.key), self.alias.as_ref()].into_iter().flatten().map(|name| name.len() + 24).sum::<usize>();
        let arguments = match &self.arguments {
            Given::Fixed(arguments) => arguments.iter().map(|(name, value)| name.len() + 64 + bytes_of(value)).sum(),
            Given::Slot(_) => 160,
        };
        size_of::<Self>() + 16 + names + arguments + self.below.as_ref().map_or(0, |below| below.bytes())
    }
}

fn bytes_of(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::List(items) => items.iter().map(bytes_of).sum(),
            Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + 48 + bytes_of(value)).sum(),
            _ => 0,
        }
}

impl Shape {
    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.root.bytes() + self.slots.len() * size_of::<Slot>()
    }

    /// Fills it with the values of variables.
    ///
    /// # Errors
    /// A value can't stand where it is used; the operation is too large.
    pub(super) fn with(
        self: &Arc<Self>,
        compiler: &Compiler,
        values: &Values,
        sources: &SourceMap,
    ) -> Result<Operation, Refusal> {
        let Limits { depth, aliases, root_fields, cost, .. } = compiler.limits;
        let most = [
            (Bound::Depth, self.depth, depth),
            (Bound::Aliases, self.aliases, aliases),
            (Bound::RootFields, self.root.classes.first().map_or(0, |class| class.answer.len()), root_fields),
        ];
        if self.root.classes.iter().any(|class| class.weight() > MAX_SCHEMA_WEIGHT) {
            return Err(too_much_schema());
        }
        if let Some((bound, _, most)) = most.into_iter().find(|(_, found, most)| found > most) {
            return Err(Refusal::over(bound, most));
        }
        let filled = |slot: &Slot| {
            let mut arguments = Arguments::with_capacity(slot.0.len());
            for (name, ty, value) in &slot.0 {
                if let Some(value) = compiler.literal(ty, value, values, sources)? {
                    arguments.push((name.clone(), value));
                }
            }
            Ok(arguments)
        };
        let slots = self.slots.iter().map(filled).collect::<Result<_, Refusal>>()?;
        let operation = Operation { shape: self.clone(), slots, asked: None, without: None };
        if operation.cost(&self.root) > cost {
            return Err(Refusal::over(Bound::Cost, cost));
        }
        Ok(operation)
    }
}

fn at<T>(pos: Pos, node: T) -> Positioned<T> {
    Positioned::new(node, pos)
}

fn select(
    alias: Option<Key>,
    name: Key,
    pos: Pos,
    arguments: Vec<(Positioned<Key>, Positioned<async_graphql_value::Value>)>,
    items: Vec<Positioned<library::Selection>>,
) -> Positioned<library::Selection> {
    let field = library::Field {
        alias: alias.map(|alias| at(pos, alias)),
        name: at(pos, name),
        arguments,
        directives: Vec::new(),
        selection_set: at(pos, library::SelectionSet { items }),
    };
    at(pos, library::Selection::Field(at(pos, field)))
}

fn fragment(on: Key, items: Vec<Positioned<library::Selection>>) -> Positioned<library::Selection> {
    let pos = Pos::default();
    let inline = InlineFragment {
        type_condition: Some(at(pos, TypeCondition { on: at(pos, on) })),
        directives: Vec::new(),
        selection_set: at(pos, library::SelectionSet { items }),
    };
    at(pos, library::Selection::InlineFragment(at(pos, inline)))
}

/// The values of the variables in `@skip` and `@include`.
#[derive(Clone, Copy)]
pub(super) enum Conditions<'a> {
    /// Everything is selected: for the rules, which hold whatever the values.
    All,
    /// Where these hold.
    Of(&'a HashMap<&'a Name, bool>),
}

/// Plans the operations of a document.
pub(super) struct Planner<'a> {
    pub(super) compiler: &'a Compiler,
    pub(super) document: &'a ExecutableDocument,
    pub(super) conditions: Conditions<'a>,
    lines: Lines<'a>,
    slots: Vec<Slot>,
    personal: bool,
    /// How many fields there are above.
    level: usize,
    /// How much was planned, so that places of many types within each other come to an end.
    planned: usize,
}

type Collected<'a> = IndexMap<&'a Name, Vec<&'a Node<Selected>>>;

/// What is counted while planning.
#[derive(Clone, Copy, Default)]
struct Count {
    depth: usize,
    aliases: usize,
    /// Fields of the operation that the library gets.
    fields: usize,
}

impl Count {
    fn and(self, other: Self) -> Self {
        Self {
            depth: self.depth.max(other.depth),
            aliases: self.aliases.saturating_add(other.aliases),
            fields: self.fields.saturating_add(other.fields),
        }
    }
}

impl<'a> Planner<'a> {
    pub(super) fn new(compiler: &'a Compiler, document: &'a ExecutableDocument, conditions: Conditions<'a>) -> Self {
        let lines = Lines::of(source(&document.sources));
        Self { compiler, document, conditions, lines, slots: Vec::new(), personal: false, level: 0, planned: 0 }
    }

    /// The shape of an operation of the document.
    ///
    /// # Errors
    /// Selections of one name that differ; more fields than are planned.
    pub(super) fn plan(&mut self, operation: &'a Definition) -> Result<Shape, Refusal> {
        self.slots.clear();
        self.level = 0;
        self.personal = false;
        let (root, count) = self.set(operation.object_type(), &[&operation.selection_set])?;
        Ok(Shape {
            kind: operation.operation_type.into(),
            name: operation.name.as_ref().map(|name| name.as_str().into()),
            root: Arc::new(root),
            slots: std::mem::take(&mut self.slots),
            personal: self.personal,
            depth: count.depth,
            aliases: count.aliases,
        })
    }

    /// Whether a selection is not left out by `@skip` or `@include`.
    fn stays(&self, directives: &[Node<Directive>]) -> bool {
        let Conditions::Of(values) = self.conditions else { return true };
        directives.iter().all(|directive| {
            let wanted = match directive.name.as_str() {
                "skip" => false,
                "include" => true,
                _ => return true,
            };
            match directive.specified_argument_by_name("if").map(Node::as_ref) {
                Some(Ast::Boolean(on)) => *on == wanted,
                Some(Ast::Variable(name)) => values.get(name) == Some(&wanted),
                _ => true,
            }
        })
    }

    fn applies(&self, condition: &Name, ty: &Name) -> bool {
        condition == ty || self.compiler.schema.is_subtype(condition, ty)
    }

    /// `CollectFields` for an object of that type.
    fn collect(&self, ty: &Name, set: &'a SelectionSet, seen: &mut HashSet<&'a Name>, fields: &mut Collected<'a>) {
        for selection in set.selections.iter().filter(|selection| self.stays(selection.directives())) {
            match selection {
                Selection::Field(field) => fields.entry(field.response_key()).or_default().push(field),
                Selection::InlineFragment(inline) => {
                    if inline.type_condition.as_ref().is_none_or(|on| self.applies(on, ty)) {
                        self.collect(ty, &inline.selection_set, seen, fields);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    if seen.insert(&spread.fragment_name)
                        && let Some(fragment) = self.document.fragments.get(&spread.fragment_name)
                        && self.applies(fragment.type_condition(), ty)
                    {
                        self.collect(ty, &fragment.selection_set, seen, fields);
                    }
                }
            }
        }
    }

    /// The types that fragments at this level name.
    fn named(&self, set: &'a SelectionSet, seen: &mut HashSet<&'a Name>, types: &mut IndexSet<&'a Name>) {
        for selection in &set.selections {
            match selection {
                Selection::Field(_) => {}
                Selection::InlineFragment(inline) => {
                    types.extend(inline.type_condition.as_ref());
                    self.named(&inline.selection_set, seen, types);
                }
                Selection::FragmentSpread(spread) => {
                    if seen.insert(&spread.fragment_name)
                        && let Some(fragment) = self.document.fragments.get(&spread.fragment_name)
                    {
                        types.insert(fragment.type_condition());
                        self.named(&fragment.selection_set, seen, types);
                    }
                }
            }
        }
    }

    fn set(&mut self, parent: &Name, sets: &[&'a SelectionSet]) -> Result<(Set, Count), Refusal> {
        let compiler = self.compiler;
        let possible = compiler.possible.get(parent).map(Vec::as_slice).unwrap_or_default();
        let is_object = possible == [parent.clone()];
        let mut conditions = IndexSet::new();
        if !is_object {
            let mut seen = HashSet::new();
            for set in sets {
                self.named(set, &mut seen, &mut conditions);
            }
        }
        // Types for which the same conditions hold select the same. Those whose fields differ in type, and so in what may
        // be null, are told apart all the same.
        let mut selections: IndexMap<Vec<bool>, Collected<'a>> = IndexMap::new();
        let mut classes: IndexMap<(usize, Vec<Type>), Vec<&Name>> = IndexMap::new();
        for ty in possible {
            let mask: Vec<bool> = conditions.iter().map(|on| self.applies(on, ty)).collect();
            let index = selections.get_index_of(&mask).unwrap_or_else(|| {
                let (mut seen, mut fields) = (HashSet::new(), Collected::new());
                for set in sets {
                    self.collect(ty, set, &mut seen, &mut fields);
                }
                selections.insert_full(mask, fields).0
            });
            let types = selections[index].values().map(|nodes| self.definition(ty, nodes[0]).0).collect();
            classes.entry((index, types)).or_default().push(ty);
        }
        let same = |one: &[&Node<Selected>], other: &[&Node<Selected>]| {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| std::ptr::eq(&raw const ***one, &raw const ***other))
        };
        let everywhere = |key: &Name, nodes: &[&Node<Selected>]| {
            (nodes[0].name == "__typename" || compiler.schema.type_field(parent, &nodes[0].name).is_ok())
                && selections.values().all(|other| other.get(key).is_some_and(|other| same(nodes, other)))
        };
        let mut shared: IndexMap<&Name, Arc<Field>> = IndexMap::new();
        let mut count = Count::default();
        if let Some((_, first)) = selections.first() {
            for (key, nodes) in first.iter().filter(|(key, nodes)| everywhere(key, nodes)) {
                let (field, size) = self.field(parent, key, nodes)?;
                shared.insert(key, Arc::new(field));
                count = count.and(size);
            }
        }
        let mut planned = Vec::with_capacity(classes.len());
        let mut most = Count::default();
        for ((index, types), members) in classes {
            let (mut own, mut answer, mut size) = (Vec::new(), Vec::new(), Count::default());
            for ((key, nodes), ty) in selections[index].iter().zip(types) {
                let field = if let Some(field) = shared.get(*key) {
                    field.clone()
                } else {
                    let (field, more) = self.field(members[0], key, nodes)?;
                    let field = Arc::new(field);
                    own.push(field.clone());
                    size = size.and(more);
                    field
                };
                answer.push(Answer { field, ty });
            }
            most.depth = most.depth.max(size.depth);
            most.aliases = most.aliases.max(size.aliases);
            most.fields = most.fields.saturating_add(size.fields.saturating_mul(members.len()));
            let keys = answer.iter().map(|answer| answer.field.key.clone()).collect();
            let nested = answer.iter().enumerate().filter(|(_, answer)| answer.field.below.is_some());
            let nested = nested.map(|(index, _)| index).collect();
            let types = members.iter().map(|ty| Key::new(ty.as_str())).collect();
            planned.push(Class { types, own, answer, keys, nested });
        }
        let count = count.and(most);
        if count.fields > compiler.limits.fields {
            return Err(Refusal::over(Bound::Fields, compiler.limits.fields));
        }
        let several = planned.len() > 1;
        let class_of = planned.iter().enumerate().filter(|_| several);
        let class_of =
            class_of.flat_map(|(index, class)| class.types.iter().map(move |ty| (ty.clone(), index))).collect();
        let set = Set {
            on: (!is_object).then(|| Key::new(parent.as_str())),
            // An object of which nothing is selected would be null.
            typed: several || shared.values().all(|field| field.of_schema),
            shared: shared.into_values().collect(),
            classes: planned,
            class_of,
        };
        Ok((set, count))
    }

    /// The type of a field on the type that it is selected on, and its own description.
    fn definition(
        &self,
        parent: &Name,
        field: &'a Selected,
    ) -> (Type, &'a Node<apollo_compiler::schema::FieldDefinition>) {
        let own = self.compiler.schema.type_field(parent, &field.name).map(|def| def.ty.clone());
        (own.unwrap_or_else(|_| field.definition.ty.clone()), &field.definition)
    }

    fn field(&mut self, parent: &Name, key: &Name, nodes: &[&'a Node<Selected>]) -> Result<(Field, Count), Refusal> {
        let compiler = self.compiler;
        let sources = &self.document.sources;
        let field = nodes[0];
        self.planned += 1;
        if self.planned > compiler.limits.fields.saturating_mul(2) {
            return Err(Refusal::over(Bound::Fields, compiler.limits.fields));
        }
        if let Some(other) = nodes[1..].iter().find(|other| other.name != field.name || !same_arguments(field, other)) {
            let message =
                format!("Two selections of `{key}` differ in their fields or arguments: give one of them an alias.");
            return Err(Refusal::invalid(message).within(other.location(), sources));
        }
        let own = compiler.schema.type_field(parent, &field.name).ok();
        let definition = own.map_or(&field.definition, |def| &def.node);
        let mut open = Vec::new();
        for argument in &definition.arguments {
            if let Some(given) = field.specified_argument_by_name(&argument.name) {
                open.push((Key::new(argument.name.as_str()), argument.ty.as_ref().clone(), given.clone()));
            }
        }
        let arguments = if open.iter().any(|(_, _, value)| has_variables(value)) {
            self.slots.push(Slot(open));
            Given::Slot(self.slots.len() - 1)
        } else {
            let mut fixed = Arguments::with_capacity(open.len());
            for (name, ty, value) in open {
                fixed.extend(compiler.literal(&ty, &value, &Values::new(), sources)?.map(|value| (name, value)));
            }
            Given::Fixed(fixed)
        };
        let of_schema = matches!(field.name.as_str(), "__schema" | "__type");
        if of_schema && self.level > 0 {
            let message = format!("`{}` can be asked for at the root alone.", field.name);
            return Err(Refusal::invalid(message).within(field.location(), sources));
        }
        let (below, mut count) = if of_schema || field.selection_set.selections.is_empty() {
            (None, Count::default())
        } else {
            let sets: Vec<_> = nodes.iter().map(|node| &node.selection_set).collect();
            self.level += 1;
            let (set, count) = self.set(definition.ty.inner_named_type(), &sets)?;
            self.level -= 1;
            (Some(Arc::new(set)), count)
        };
        count.depth += 1;
        count.fields = count.fields.saturating_add(1);
        count.aliases = count.aliases.saturating_add(usize::from(field.alias.is_some()));
        self.personal |= compiler.traits.personal.contains(&field.name.as_str());
        let (name, key) = (Key::new(field.name.as_str()), Key::new(key.as_str()));
        let planned = Field {
            alias: field.alias.is_some().then(|| key.clone()),
            key: if field.alias.is_some() { key } else { name.clone() },
            name,
            pos: field.location().map(|span| self.lines.at(span.offset())).unwrap_or_default(),
            arguments,
            below,
            cost: if of_schema { Cost::Of(1, 0) } else { compiler.cost(parent, definition) },
            of_schema,
        };
        Ok((planned, count))
    }
}

fn has_variables(value: &Ast) -> bool {
    match value {
        Ast::Variable(_) => true,
        Ast::List(items) => items.iter().any(|item| has_variables(item)),
        Ast::Object(fields) => fields.iter().any(|(_, field)| has_variables(field)),
        _ => false,
    }
}

/// Whether two selections give the same arguments, in whatever order. The validator compares lists only as far as the
/// shorter one goes.
fn same_arguments(one: &Selected, other: &Selected) -> bool {
    fn same(one: &Ast, other: &Ast) -> bool {
        match (one, other) {
            (Ast::List(one), Ast::List(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
            }
            (Ast::Object(one), Ast::Object(other)) => {
                one.len() == other.len()
                    && one
                        .iter()
                        .all(|(name, value)| other.iter().any(|(key, other)| name == key && same(value, other)))
            }
            _ => one == other,
        }
    }
    let given = |name: &Name| other.arguments.iter().find(|argument| argument.name == *name);
    one.arguments.len() == other.arguments.len()
        && one
            .arguments
            .iter()
            .all(|argument| given(&argument.name).is_some_and(|other| same(&argument.value, &other.value)))
}
