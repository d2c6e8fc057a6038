// The rules for schema.graphql: all that the plugin has for schemas, and those of Relay. What is switched off or
// excepted says why.
import graphql from '@graphql-eslint/eslint-plugin';

const rules = {
  ...graphql.configs['flat/schema-recommended'].rules,
  ...graphql.configs['flat/schema-all'].rules,
  ...graphql.configs['flat/schema-relay'].rules,

  // Everything is described, not types alone.
  '@graphql-eslint/require-description': [
    'error',
    {
      types: true,
      rootField: true,
      DirectiveDefinition: true,
      FieldDefinition: true,
      InputValueDefinition: true,
      EnumValueDefinition: true,
    },
  ],
  // A mutation takes one input object, named after it.
  '@graphql-eslint/input-name': [
    'error',
    { checkInputType: true, checkMutations: true, checkQueries: false, caseSensitiveInputType: false },
  ],
  // What is part of a thing or of an answer has no identity of its own that a cache could keep it by. A type that is
  // new and has no id is decided on here.
  '@graphql-eslint/strict-id-in-types': [
    'error',
    {
      exceptions: {
        suffixes: ['Payload', 'Connection', 'Edge'],
        types: [
          // Values.
          'Address',
          'Contact',
          'Customer',
          'ExternalReference',
          'Money',
          'PageInfo',
          // Parts of a lead, an activity or a partnership.
          'AuditRecord',
          'BlockedAction',
          'DuplicateCandidate',
          'FieldChange',
          'InternalRecord',
          'LeadAction',
          'PartnershipSettings',
          'Qualification',
          'SystemActor',
          // A board is computed for who asks.
          'LeadBoard',
          'LeadBoardColumn',
          // Parts of a workflow, by their key in it.
          'ActionField',
          'FieldChoice',
          'FieldCondition',
          'Stage',
          'TemplateDefault',
          'WorkflowFault',
          'WorkflowMisfit',
          // Never an answer.
          'ErrorCodes',
        ],
      },
    },
  ],
  // Relay asks that edges are wrapped in types of their own, not that every list is one of edges.
  '@graphql-eslint/relay-edge-types': [
    'error',
    { withEdgeSuffix: true, shouldImplementNode: true, listTypeCanWrapOnlyEdgeType: false },
  ],

  // The file is generated: a description that fits on one line stands on one line.
  '@graphql-eslint/description-style': 'off',
  // Fields stand in the order in which a reader wants to know of them.
  '@graphql-eslint/alphabetize': 'off',
  // It would forbid mutations and subscriptions.
  '@graphql-eslint/no-root-type': 'off',
  // A mutation gives its payload or fails as a whole; a client need not ask which.
  '@graphql-eslint/require-nullable-result-in-root': 'off',
  // A payload has what was changed. Who needs more asks for it in a query.
  '@graphql-eslint/require-field-of-type-query-in-mutation-result': 'off',
};

// What the rules find and what stays as it is; each is needed, or it is itself an error.
const exceptions = [
  {
    rule: '@graphql-eslint/no-unreachable-types',
    of: ['`ErrorCode`', '`ErrorCodes`'],
    why: 'the codes of errors stand in the schema so that clients get them as a type; no field has it',
  },
  {
    rule: '@graphql-eslint/no-typename-prefix',
    of: ['"leadSource"'],
    why: 'the word of the trade; `source` is the company that the lead comes from',
  },
  {
    rule: '@graphql-eslint/no-typename-prefix',
    of: ['"workflowVersion"'],
    why: 'the same name as on a lead and a template; `version` counts the changes of a record',
  },
  {
    rule: '@graphql-eslint/relay-arguments',
    of: ['A field that returns a Connection type'],
    line: 'leads: LeadConnection!',
    why: 'the first page of a board\'s column; `leads` of Query goes on from there',
  },
  {
    rule: '@graphql-eslint/relay-edge-types',
    of: ["Edge type's field `node` must implement `Node` interface."],
    line: 'node: AuditRecord!',
    near: 'type AuditRecordEdge {',
    why: 'a record of the audit trail is the shadow of an activity, which is the Node',
  },
  {
    rule: '@graphql-eslint/require-description',
    of: ['"if" in directive "include"', '"if" in directive "skip"'],
    why: 'the specification\'s own directives',
  },
];

/** Takes the exceptions out of what the rules found. */
const processor = {
  meta: { name: 'cosell/exceptions', version: '1' },
  preprocess(text) {
    processor.lines = text.split('\n');
    return [text];
  },
  postprocess([messages]) {
    const unused = new Map(exceptions.flatMap((exception) => exception.of.map((of) => [of + exception.rule, exception])));
    const left = messages.filter((message) => {
      const found = exceptions.find(({ rule, line, near, of }) => {
        const here = processor.lines[message.line - 1];
        return (
          rule === message.ruleId &&
          of.some((text) => message.message.includes(text)) &&
          (line === undefined || here.trim() === line || here.trim() === near)
        );
      });
      for (const of of found?.of ?? []) if (message.message.includes(of)) unused.delete(of + found.rule);
      return found === undefined;
    });
    for (const [, { rule, of }] of unused) {
      left.push({ ruleId: 'exceptions', severity: 2, line: 1, column: 1, message: `not needed: ${rule} for ${of}` });
    }
    return left;
  },
};

export default [
  {
    files: ['**/*.graphql'],
    plugins: { '@graphql-eslint': graphql },
    processor,
    languageOptions: { parser: graphql.parser, parserOptions: { graphQLConfig: { schema: './schema.graphql' } } },
    rules,
  },
];
