// How values are written: as literals of a document, and as the JSON of variables.
import { isEnumType, isInputObjectType, isListType, isNonNullType, isRequiredInputField } from 'graphql';

const TEXTS = [
  '""', '"s"', '"two words"', '"# no comment"', '"\\"quoted\\" \\\\ \\/ \\b\\f\\n\\r\\t"', '"\\u00e9"', '"é"', '"🎉"',
  '"\\uD83C\\uDF89"', '"\\u{1F389}"', '"\\u{E9}"', '""""""', '"""block"""', '"""  kept  """', '"""\n    one\n      two\n\n    three\n  """',
  '"""a \\""" b"""', '"""no \\n escape \\u00e9"""', '"""\r\n  crlf\r\n  two"""', '"""\n\n  "quoted" 🎉\n\n"""',
];

// What counts for a good literal of a scalar, and the same as JSON.
const SCALARS = {
  Int: [['0', '1', '2', '7', '-1', '-0', '2147483647', '-2147483648'], ['0', '1', '7', '-1', '1.0', '1e0', '20E-1', '-0', '-0.0', '2147483647', '-2147483648']],
  Float: [
    ['0', '1', '-0', '-0.0', '1.0', '1.5', '1e0', '1E+2', '25e-1', '0.1', '1e308', '5e-324', '123456789012345678901234567890', '9007199254740993'],
    ['0', '1', '1.0', '1.5', '1e0', '-0', '0.1', '1e21', '1e-7', '1e308', '123456789012345678901234567890', '9007199254740993'],
  ],
  Boolean: [['true', 'false'], ['true', 'false']],
  String: [TEXTS, ['""', '"s"', '"é\\u00e9"', '"\\ud83c\\udf89"', '"🎉"', '"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\\u2028"']],
  ID: [['1', '"1"', '"x"', '"fault"', '"dog"', '-1', '""', '1234567890123456789'], ['1', '"1"', '"x"', '"fault"', '"dog"', '7', '1.0', '-3']],
  DateTime: [['"2026-01-31T12:00:00Z"', '"2024-02-29T00:00:00Z"'], ['"2026-01-31T12:00:00Z"']],
  Date: [['"2026-01-31"'], ['"2026-01-31"']],
  Decimal: [['"1.50"'], ['"1.50"']],
  Duration: [['"PT1H"'], ['"PT1H"']],
  CountryCode: [['"DE"'], ['"DE"']],
  CurrencyCode: [['"EUR"'], ['"EUR"']],
  EmailAddress: [['"a@example.com"'], ['"a@example.com"']],
  PhoneNumber: [['"+4930123456"'], ['"+4930123456"']],
  URL: [['"https://example.com/"'], ['"https://example.com/"']],
};
const [LITERAL, JSON_TEXT] = [0, 1];

// A good one for a few types, a wrong one for the others.
const ANY_LITERAL = [
  '1', '1.5', '1.0', '"s"', 'true', 'null', 'RED', 'NOPE', '[1]', '[]', '[[]]', '{}', '{ a: 1 }', '{ must: "s" }', '2147483648',
  '99999999999', '["RED"]', '"RED"', '[null]', '[1, "s"]', '"2026-13-01T00:00:00Z"',
];
const ANY_JSON = [
  '1', '1.5', '"s"', 'true', 'null', '"RED"', '"NOPE"', '[1]', '[]', '[[]]', '{}', '{"a": 1}', '{"must": 1}', '{"must": 1, "nope": 2}',
  '{"must": null}', '[{"must": 1, "colour": "NOPE"}]', '2147483648', '-2147483649', '"1"', '["s", null]', '[[true]]', '"2026-13-01T00:00:00Z"',
];
// What is wrong for every type, or no literal at all.
const BROKEN_LITERAL = ['[00]', '01', '1.', '.5', '1e', '-', '"\\uD83C"', '"\\u{110000}"', '"\\x"', '"open', '$', '[1', '{ a: }', '0xF', '1a'];

// Literals and variables' values for the types of a schema; `noise` is the share of wrong ones.
export class Values {
  constructor(dice, noise) {
    this.dice = dice;
    this.noise = noise;
  }

  // `variable` writes a variable for a position, or is absent where there can be none.
  literal(type, { depth = 3, variable, hasDefault = false } = {}) {
    const { dice, noise } = this;
    if (variable && dice.of(0.3)) return variable(type, hasDefault);
    if (dice.of(noise / 2)) return dice.of(0.2) ? dice.pick(BROKEN_LITERAL) : dice.pick(ANY_LITERAL);
    if (isNonNullType(type)) return this.#given(type.ofType, depth, variable);
    return dice.of(0.07) ? 'null' : this.#given(type, depth, variable);
  }

  #given(type, depth, variable) {
    const { dice } = this;
    const inner = { depth: depth - 1, variable };
    if (isListType(type)) {
      // One value stands for a list of one; a variable there would have to be a list.
      if (dice.of(0.2)) return this.literal(type.ofType, { depth: inner.depth });
      return `[${dice.times(0, depth > 0 ? 3 : 0, () => this.literal(type.ofType, inner)).join(dice.pick([', ', ' ']))}]`;
    }
    if (isEnumType(type)) return dice.pick(type.getValues()).name;
    if (isInputObjectType(type)) {
      const fields = this.#fields(type, depth).map(
        (field) => `${field.name}: ${this.literal(field.type, { ...inner, hasDefault: field.defaultValue !== undefined })}`,
      );
      if (dice.of(this.noise)) fields.push('nope: 1');
      if (fields.length > 0 && dice.of(this.noise)) fields.push(dice.pick(fields));
      return `{ ${dice.shuffled(fields).join(', ')} }`;
    }
    if (type.name === 'JSON') return this.#anything(depth, variable, LITERAL);
    return this.#scalar(type, LITERAL);
  }

  // A variable's value as JSON.
  json(type, depth = 3) {
    const { dice } = this;
    if (dice.of(this.noise)) return dice.pick(ANY_JSON);
    if (isNonNullType(type)) return this.#givenJson(type.ofType, depth);
    return dice.of(0.1) ? 'null' : this.#givenJson(type, depth);
  }

  #givenJson(type, depth) {
    const { dice } = this;
    if (isListType(type)) {
      if (dice.of(0.2)) return this.json(type.ofType, depth - 1);
      return `[${dice.times(0, depth > 0 ? 3 : 0, () => this.json(type.ofType, depth - 1)).join(', ')}]`;
    }
    if (isEnumType(type)) return `"${dice.pick(type.getValues()).name}"`;
    if (isInputObjectType(type)) {
      const fields = this.#fields(type, depth).map((field) => `"${field.name}": ${this.json(field.type, depth - 1)}`);
      if (dice.of(this.noise)) fields.push('"nope": 1');
      return `{${dice.shuffled(fields).join(', ')}}`;
    }
    if (type.name === 'JSON') return this.#anything(depth, undefined, JSON_TEXT);
    return this.#scalar(type, JSON_TEXT);
  }

  #fields(type, depth) {
    return Object.values(type.getFields()).filter((field) =>
      isRequiredInputField(field) ? !this.dice.of(this.noise) : this.dice.of(depth > 0 ? 0.3 : 0.1),
    );
  }

  #scalar(type, form) {
    return this.dice.pick(SCALARS[type.name]?.[form] ?? ['"s"', '1']);
  }

  #anything(depth, variable, form) {
    const { dice } = this;
    if (depth <= 0 || dice.of(0.5)) {
      if (variable && dice.of(0.3)) return variable(null, false);
      const literal = ['1', '1.5', '"s"', 'true', 'null', '-0', '1e3', ...(form === LITERAL ? ['RED', '"""b"""'] : ['"\\u00e9"'])];
      return dice.pick(literal);
    }
    const inner = () => this.#anything(depth - 1, variable, form);
    if (dice.of(0.5)) return `[${dice.times(0, 2, inner).join(', ')}]`;
    const keys = dice.shuffled(['k', 'a', 'z']).slice(0, dice.below(3));
    if (form === LITERAL && dice.of(this.noise)) keys.push('k', 'k');
    return `{${keys.map((key) => `${form === LITERAL ? key : `"${key}"`}: ${inner()}`).join(', ')}}`;
  }
}
