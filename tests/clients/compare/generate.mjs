// Random documents for a schema: valid ones of every shape, and with some noise ones that are not.
import {
  getNamedType,
  GraphQLList,
  GraphQLNonNull,
  isAbstractType,
  isCompositeType,
  isInputType,
  isLeafType,
  isNonNullType,
  isRequiredArgument,
  SchemaMetaFieldDef,
  TypeMetaFieldDef,
} from 'graphql';

import { Dice } from './random.mjs';
import { Values } from './values.mjs';

// Few, so that they meet.
const ALIASES = ['a', 'b', 'id', 'name', 'self'];
// What a server may tell in its own words or order, or has only in a later edition.
const OWN_WORDS = new Set(['types', 'directives', 'description', 'isOneOf', 'specifiedByURL']);
const NOISE = [0, 0, 0.01, 0.03, 0.06];

export function* documents(schema, count, seed) {
  const facts = new Facts(schema);
  for (let index = 0; index < count; index++) yield new Writer(facts, new Dice(seed, index)).write();
}

// What is known of a schema before anything is written.
class Facts {
  #overlapping = new Map();

  constructor(schema) {
    this.schema = schema;
    const types = Object.values(schema.getTypeMap()).filter((type) => !type.name.startsWith('__'));
    this.composites = types.filter(isCompositeType);
    this.inputs = types.filter(isInputType);
    this.roots = new Map(
      [['query', schema.getQueryType()], ['mutation', schema.getMutationType()], ['subscription', schema.getSubscriptionType()]]
        .filter(([, type]) => type),
    );
    this.boolean = new GraphQLNonNull(schema.getType('Boolean'));
    // Of what JSON may hold.
    this.loose = ['Int', 'String', 'JSON', 'Boolean'].map((name) => schema.getType(name)).filter(Boolean);
  }

  // The types that an object of this type can have too.
  overlapping(type) {
    if (!this.#overlapping.has(type)) {
      const possible = new Set(this.#possible(type));
      this.#overlapping.set(type, this.composites.filter((other) => this.#possible(other).some((object) => possible.has(object))));
    }
    return this.#overlapping.get(type);
  }

  #possible(type) {
    return isAbstractType(type) ? this.schema.getPossibleTypes(type) : [type];
  }
}

// Writes one document.
class Writer {
  // By name: each variable's type and default, declared by every operation that comes to use it.
  #variables = new Map();
  // By name: each fragment's type, text, and the variables that it and its spreads use.
  #fragments = new Map();
  // What each response key stands for, so that most selections can be merged.
  #keys = new Map();
  // By type: the fields already selected on it.
  #selected = new Map();
  // The variables that the definition uses which is being written.
  #uses = new Set();
  // How many selections are left.
  #budget;

  constructor(facts, dice) {
    this.facts = facts;
    this.dice = dice;
    this.noise = dice.pick(NOISE);
    this.values = new Values(dice, this.noise);
    this.#budget = 6 + dice.below(25);
  }

  write() {
    const { dice, noise } = this;
    const operations = dice.times(1, dice.of(0.12) ? 3 : 1, (_, at) => this.#operation(`Q${at}`));
    const alone = operations.length === 1;
    const chosen = dice.pick(operations);
    const anonymous = alone ? dice.of(0.25) : dice.of(noise);
    if (!alone && dice.of(noise)) operations[1].name = operations[0].name;
    const fragments = [...this.#fragments].map(([name, { on, body }]) => `fragment ${name} on ${on}${this.#strayDirective()} ${body}`);
    const definitions = dice.shuffled([
      ...operations.map((operation) => this.#text(operation, anonymous && operation === operations[0])),
      ...fragments,
      ...this.#strayDefinitions(fragments),
    ]);
    const query = this.#smudged(definitions.join(dice.pick([' ', '\n', '\r\n', ',\n', '\n# "a" { comment }\n'])));
    let operationName = null;
    if (!alone || dice.of(0.3)) operationName = anonymous ? null : chosen.name;
    if (dice.of(noise)) operationName = dice.pick([null, 'Nope', '', 'Q0']);
    return { query, variables: this.#variablesFor(chosen), operationName };
  }

  #operation(name) {
    const { dice } = this;
    const kind = dice.of(0.5) ? 'query' : dice.pick([...this.facts.roots.keys()]);
    const [body, uses] = this.#within(() =>
      kind === 'subscription' ? this.#eventSelections() : this.#rootSelections(kind),
    );
    return { kind, name, body, uses };
  }

  #text({ kind, name, body, uses }, anonymous) {
    const { dice, noise } = this;
    const declared = [...uses].filter(() => !dice.of(noise / 2));
    const declarations = declared.map((variable) => {
      const { type, fallback } = this.#variables.get(variable);
      return `$${variable}: ${this.#typeText(type)}${fallback === null ? '' : ` = ${fallback}`}${this.#strayDirective()}`;
    });
    if (dice.of(noise / 2)) {
      declarations.push(dice.pick([
        '$unused: Int', '$v0: Int', '$odd: Query', '$odd: [Nope!]', '$odd: [Nope] = [1]', '$odd: Int = $v0', '$odd: Int! = null', '$odd: Int = "s"',
        '"A description." $odd: Int', '$odd Int', '$odd: [Int',
      ]));
    }
    const list = declarations.length > 0 ? `(${declarations.join(dice.pick([', ', ' ', '\n']))})` : dice.of(noise / 4) ? '()' : '';
    if (anonymous) return kind === 'query' && list === '' && dice.of(0.7) ? body : `${kind} ${list}${this.#strayDirective()} ${body}`;
    return `${kind} ${name}${list}${this.#strayDirective()} ${body}`;
  }

  // As `[ T ! ]` too.
  #typeText(type) {
    const text = String(type);
    return this.dice.of(0.1) ? text.replace(/[[\]!]/g, ' $& ') : text;
  }

  // Selections.

  // With some of the schema in a query: there alone, as no schema has to lead back to its root.
  #rootSelections(kind) {
    const { dice } = this;
    const type = this.facts.roots.get(kind);
    if (kind !== 'query' || !dice.of(0.1)) return this.#selections(type, 4);
    const introspect = () => {
      const text = this.#introspection();
      if (dice.of(0.2)) return `... on ${type.name}${this.#conditions()} { ${text} }`;
      return dice.of(0.2) ? `...${this.#newFragment(type, () => `{ ${text} }`, { shared: false })}` : text;
    };
    return this.#selections(type, 4, dice.times(1, 2, introspect));
  }

  // `more` stand among them.
  #selections(type, depth, more = []) {
    const { dice } = this;
    if (this.#budget <= 0 && more.length === 0) return '{ __typename }';
    const list = dice.shuffled([...dice.times(1, 4, () => this.#selection(type, depth)), ...more]);
    return `{ ${list.join(dice.pick([' ', ' ', ', ', '\n  ']))} }`;
  }

  // One root field, perhaps within fragments and more than once: one event is one field.
  #eventSelections() {
    const { dice, noise } = this;
    const type = this.facts.roots.get('subscription');
    const field = this.#newField(type, 4);
    const select = () => {
      const text = this.#fieldText(field, 4, { bare: !dice.of(noise) });
      if (dice.of(0.2)) return `... ${dice.of(0.5) ? `on ${type.name} ` : ''}{ ${text} }`;
      return dice.of(0.15) ? `...${this.#newFragment(type, () => `{ ${text} }`)}` : text;
    };
    const list = dice.times(1, dice.of(0.3) ? 3 : 1, select);
    if (dice.of(noise)) list.push(dice.pick(['__typename', 'a: __typename', select(), this.#selection(type, 3)]));
    return `{ ${list.join(' ')} }`;
  }

  #selection(type, depth) {
    const { dice, noise } = this;
    this.#budget--;
    if (dice.of(noise / 2)) return this.#strayField(type);
    if (depth > 0 && this.#budget > 0 && dice.of(0.3)) return this.#fragment(type, depth - 1);
    const fields = this.#fieldsOf(type, depth);
    if (fields.length === 0 || dice.of(0.07)) return `${dice.of(0.3) ? `${dice.pick(['t', 'type'])}: ` : ''}__typename${this.#conditions()}`;
    const again = (this.#selected.get(type) ?? []).filter(({ definition }) => fields.includes(definition));
    const field = again.length > 0 && dice.of(0.3) ? dice.pick(again) : this.#newField(type, depth);
    return this.#fieldText(field, depth);
  }

  #fieldsOf(type, depth) {
    const fields = Object.values(type.getFields?.() ?? {}).filter(({ name }) => !(type.name.startsWith('__') && OWN_WORDS.has(name)));
    return depth > 0 ? fields : fields.filter((field) => isLeafType(getNamedType(field.type)));
  }

  // A field with its arguments, under a key that mostly stands for no other.
  #newField(type, depth) {
    const { dice, noise } = this;
    const definition = dice.pick(this.#fieldsOf(type, depth));
    const [list, uses] = this.#within(() => this.#argumentsOf(definition.args));
    const is = `${definition.name}${list} ${definition.type}`;
    let key = dice.of(0.15) ? dice.pick(ALIASES) : definition.name;
    if ((this.#keys.get(key) ?? is) !== is && !dice.of(noise + 0.01)) key = `${definition.name}${this.#keys.size}`;
    this.#keys.set(key, is);
    const field = { definition, key, list, uses };
    this.#selected.set(type, [...(this.#selected.get(type) ?? []), field]);
    return field;
  }

  // `bare` for one without directives.
  #fieldText({ definition, key, list, uses }, depth, { bare = false } = {}) {
    const { dice, noise } = this;
    for (const name of uses) this.#uses.add(name);
    const named = getNamedType(definition.type);
    const conditions = bare ? '' : this.#conditions();
    let inner = isCompositeType(named) ? ` ${this.#selections(named, depth - 1)}` : '';
    if (dice.of(noise / 3)) inner = inner === '' ? ' { nope }' : dice.pick(['', ' { }', ' { ']);
    return `${key === definition.name ? '' : `${key}: `}${definition.name}${list}${conditions}${inner}`;
  }

  #argumentsOf(definitions) {
    const { dice, noise } = this;
    const list = definitions
      .filter((argument) => (isRequiredArgument(argument) ? !dice.of(noise) : dice.of(0.35)))
      .map(({ name, type, defaultValue }) => `${name}: ${this.#value(type, defaultValue !== undefined)}`);
    if (list.length > 0 && dice.of(noise / 2)) list.push(dice.pick(list));
    if (dice.of(noise / 2)) list.push('nope: 1');
    if (list.length > 0) return `(${dice.shuffled(list).join(dice.pick([', ', ' ']))})`;
    return dice.of(noise / 4) ? '()' : '';
  }

  #introspection() {
    const { dice } = this;
    const definition = dice.pick([SchemaMetaFieldDef, TypeMetaFieldDef]);
    const name = dice.of(0.1) ? 'Nope' : dice.pick([...this.facts.composites, ...this.facts.inputs]).name;
    const list = definition === TypeMetaFieldDef ? `(name: "${name}")` : '';
    const key = `${definition.name}${this.#keys.size}`;
    this.#keys.set(key, null);
    return this.#fieldText({ definition, key, list, uses: [] }, 3);
  }

  #fragment(type, depth) {
    const { dice, noise } = this;
    if (type.name.startsWith('__')) return `... ${this.#selections(type, depth)}`;
    let on = dice.of(0.3) ? type : dice.pick(this.facts.overlapping(type));
    if (dice.of(noise / 2)) on = dice.pick([...this.facts.composites, ...this.facts.inputs, { name: 'Nope' }]);
    if (dice.of(0.5)) {
      const condition = on === type && dice.of(0.5) ? '' : `on ${on.name}`;
      return `... ${condition}${this.#conditions()} ${isCompositeType(on) ? this.#selections(on, depth) : '{ __typename }'}`;
    }
    if (dice.of(noise / 3)) return '...Nope';
    // One whose text is not there yet is being written: it would spread itself.
    const known = [...this.#fragments].filter(
      ([, { on: known, body, shared }]) => shared && known === on.name && (body !== null || dice.of(noise)),
    );
    const name =
      known.length > 0 && dice.of(0.5)
        ? dice.pick(known)[0]
        : this.#newFragment(on, () => (isCompositeType(on) ? this.#selections(on, depth) : '{ __typename }'));
    for (const variable of this.#fragments.get(name).uses) this.#uses.add(variable);
    return `...${name}${this.#conditions()}`;
  }

  #newFragment(on, write, { shared = true } = {}) {
    const name = this.dice.of(this.noise / 4) ? 'on' : `F${this.#fragments.size}`;
    const fragment = { on: on.name, body: null, uses: new Set(), shared };
    this.#fragments.set(name, fragment);
    [fragment.body, fragment.uses] = this.#within(write);
    for (const variable of fragment.uses) this.#uses.add(variable);
    return name;
  }

  // `@skip` and `@include`.
  #conditions() {
    const { dice } = this;
    const list = dice.shuffled(['skip', 'include']).filter(() => dice.of(0.06));
    return list.map((name) => ` @${name}(if: ${this.#value(this.facts.boolean, false)})`).join('') + this.#strayDirective();
  }

  // Values and variables.

  #value(type, hasDefault) {
    return this.values.literal(type, { variable: (at, optional) => this.#variable(at, optional), hasDefault });
  }

  // A variable that may stand where this type is asked for; any where it is null.
  #variable(type, hasDefault) {
    const { dice, noise } = this;
    const wanted = type ?? dice.pick(this.facts.loose);
    const fitting = [...this.#variables].filter(([, { type: known }]) => String(known) === String(wanted) || dice.of(noise / 2));
    const name = fitting.length > 0 && dice.of(0.6) ? dice.pick(fitting)[0] : this.#newVariable(wanted, hasDefault);
    this.#uses.add(name);
    return dice.of(noise / 4) ? '$undeclared' : `$${name}`;
  }

  #newVariable(wanted, hasDefault) {
    const { dice, noise } = this;
    let type = wanted;
    if (!isNonNullType(wanted)) type = dice.of(0.2) ? new GraphQLNonNull(wanted) : wanted;
    else if (hasDefault && dice.of(0.4)) type = wanted.ofType;
    let fallback = dice.of(0.25) ? this.values.literal(type) : null;
    // With a default that is not null, what may be left out may stand where a value must be.
    if (isNonNullType(wanted) && dice.of(0.15)) {
      type = wanted.ofType;
      fallback = this.values.literal(wanted);
    }
    if (dice.of(noise)) type = dice.pick([new GraphQLList(type), getNamedType(type), dice.pick(this.facts.inputs)]);
    const name = `v${this.#variables.size}`;
    this.#variables.set(name, { type, fallback });
    return name;
  }

  // The chosen operation's, as JSON: some are left out, and some are nobody's.
  #variablesFor({ uses }) {
    const { dice, noise } = this;
    const list = [...uses].flatMap((name) => {
      const { type, fallback } = this.#variables.get(name);
      const needed = isNonNullType(type) && fallback === null;
      return dice.of(needed ? noise : 0.35) ? [] : [`"${name}": ${this.values.json(type)}`];
    });
    if (dice.of(0.1)) list.push('"nobodys": [1.5]');
    return `{${dice.shuffled(list).join(', ')}}`;
  }

  // What `write` returns, and the variables that it used, which the definition around it uses too.
  #within(write) {
    const outer = this.#uses;
    this.#uses = new Set();
    const text = write();
    const uses = this.#uses;
    this.#uses = outer;
    for (const name of uses) outer.add(name);
    return [text, uses];
  }

  // Noise: what is wrong, or nearly so.

  #strayField(type) {
    const { dice } = this;
    const field = dice.pick(Object.values(type.getFields?.() ?? {}));
    return dice.pick([
      'nope', 'a: nope', '__nope', '... on Nope { id }', '...Nope', '__schema { queryType { nope } }', '__typename { id }', '__typename(a: 1)',
      ...(field ? [field.name, `${field.name} { id }`, `id: ${field.name}`, `${field.name}(nope: 1)`] : []),
    ]);
  }

  #strayDirective() {
    const { dice, noise } = this;
    if (!dice.of(noise / 8)) return '';
    return dice.pick([
      ' @nope', ' @skip', ' @skip(if: null)', ' @include(if: "true")', ' @include(if: true) @include(if: true)', ' @deprecated', ' @skip(if: true, if: true)',
      ' @include(unless: true)',
    ]);
  }

  #strayDefinitions(fragments) {
    const { dice, noise } = this;
    if (!dice.of(noise)) return [];
    return [
      dice.pick([
        'fragment Unused on Query { __typename }', 'fragment Circle on Query { ...Circle }', 'fragment A on Query { ...B } fragment B on Query { ...A }',
        'query Q0 { __typename }', '{ __typename }', 'mutation Other { __typename }', 'type Query { a: Int }', 'extend type Query { a: Int }', 'query Empty { }',
        'fragment on on Query { __typename }', 'fragment F0 { id }', 'fragment F0 on [Query] { id }', 'query Unused($a: Nope!) { __typename }',
        'subscription Two { a: __typename b: __typename }', '"A description." query Described { __typename }', ...fragments,
      ]),
    ];
  }

  // Now and then a character too many, too few, or of another kind.
  #smudged(text) {
    const { dice, noise } = this;
    if (!dice.of(noise / 2)) return text;
    const at = dice.below(text.length);
    return text.slice(0, at) + dice.pick(['', '}', '{', '"', '$', ':', '…', '\u0007', '\ufeff', '&', '%', '\\', '!', '..', '""""']) + text.slice(at + dice.below(2));
  }
}
