// Prints what graphql-js takes each literal of a JSON list for, as a JSON list.
//
// usage: node values.mjs FILE
import { readFileSync } from 'node:fs';
import { parseValue, valueFromASTUntyped } from 'graphql';

const literals = JSON.parse(readFileSync(process.argv[2], 'utf8'));
process.stdout.write(JSON.stringify(literals.map((literal) => valueFromASTUntyped(parseValue(literal)))));
