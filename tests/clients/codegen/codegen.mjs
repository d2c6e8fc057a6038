// graphql-codegen as a TypeScript client is set up with, its types for every scalar, and a manifest of its documents.
/** @type {import('@graphql-codegen/cli').CodegenConfig} */
export default {
  schema: '../../schema.graphql',
  documents: ['codegen/src/**/*.ts'],
  emitLegacyCommonJSImports: false,
  ignoreNoDocuments: false,
  generates: {
    'codegen/src/generated/': {
      preset: 'client',
      presetConfig: {
        fragmentMasking: { unmaskFunctionName: 'readFragment' },
        persistedDocuments: { hashAlgorithm: 'sha256' },
      },
      config: {
        useTypeImports: true,
        enumsAsTypes: true,
        // A scalar that is missing here is an error, not `any`.
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
