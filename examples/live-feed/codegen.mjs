// Types for the documents in src, from the schema in this repository. What it writes is not committed.
/** @type {import('@graphql-codegen/cli').CodegenConfig} */
export default {
  schema: '../../schema.graphql',
  documents: ['src/**/*.ts', '!src/generated/**'],
  emitLegacyCommonJSImports: false,
  generates: {
    'src/generated/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        documentMode: 'string',
        useTypeImports: true,
        enumsAsTypes: true,
        strictScalars: true,
        scalars: {
          CountryCode: 'string',
          CurrencyCode: 'string',
          Date: 'string',
          DateTime: 'string',
          Decimal: 'string',
          Duration: 'string',
          EmailAddress: 'string',
          JSON: 'unknown',
          PhoneNumber: 'string',
          URL: 'string',
        },
      },
    },
  },
};
