// What an application does with the generated types. Only the compiler reads this.
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { readFragment, graphql, type FragmentType } from './generated';
import type { ErrorCode } from './generated/graphql';

declare function execute<Result, Variables>(
  document: { __apiType?(variables: Variables): Result } | TypedDocumentNode<Result, Variables>,
  variables: Variables,
): Promise<Result>;

/** Compiles where the two types are the same one. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_same: Same<A, B>): void {}

const LeadLine = graphql(`
  fragment LeadLine on Lead {
    id
    number
    title
    expiresAt
    estimatedValue {
      amount
      currency
    }
    stage {
      key
      kind
    }
  }
`);

const Leads = graphql(`
  query Leads($first: Int!, $after: String, $filter: LeadFilter, $orderBy: LeadOrder) {
    leads(first: $first, after: $after, filter: $filter, orderBy: $orderBy) {
      pageInfo {
        hasNextPage
        endCursor
      }
      edges {
        cursor
        node {
          ...LeadLine
          availableActions {
            key
            fields {
              key
              type
              required
            }
          }
        }
      }
    }
  }
`);

const AcceptLead = graphql(`
  mutation AcceptLead($input: AcceptLeadInput!) {
    acceptLead(input: $input) {
      lead {
        ...LeadLine
        acceptedAt
      }
    }
  }
`);

const PerformAction = graphql(`
  mutation PerformAction($input: PerformLeadActionInput!) {
    performLeadAction(input: $input) {
      lead {
        id
      }
    }
  }
`);

const Feed = graphql(`
  subscription Feed($after: String) {
    activity(after: $after) {
      __typename
      id
      cursor
      at
      actor {
        __typename
        ... on Member {
          name
        }
        ... on SystemActor {
          name
        }
      }
      ... on LeadStageChanged {
        to {
          name
        }
      }
    }
  }
`);

const AnyNode = graphql(`
  query AnyNode($id: ID!) {
    node(id: $id) {
      __typename
      id
      ... on Lead {
        ...LeadLine
      }
    }
  }
`);

function line(lead: FragmentType<typeof LeadLine>): string {
  const { number, title, estimatedValue, expiresAt } = readFragment(LeadLine, lead);
  same<typeof expiresAt, string | null | undefined>(true);
  const value = estimatedValue ? `${estimatedValue.amount} ${estimatedValue.currency}` : '';
  return `${number} ${title} ${value}`;
}

export async function main(): Promise<void> {
  const { leads } = await execute(Leads, { first: 20, filter: { stage: ['pending'] } });
  for (const { node } of leads.edges) console.log(line(node), node.availableActions.map(({ key }) => key));
  same<typeof leads.pageInfo.endCursor, string | null | undefined>(true);
  // @ts-expect-error there is no such field
  leads.edges[0]?.node.color;
  // @ts-expect-error `first` must be given
  await execute(Leads, {});

  const { acceptLead } = await execute(AcceptLead, { input: { leadId: 'an id', expectedVersion: 3 } });
  // @ts-expect-error the payload is null where the call failed
  acceptLead.lead;
  if (acceptLead) same<typeof acceptLead.lead.acceptedAt, string | null | undefined>(true);
  // @ts-expect-error the id of a lead is a string
  await execute(AcceptLead, { input: { leadId: 7 } });
  await execute(PerformAction, { input: { leadId: 'an id', action: 'decline', fields: { reason: 'no fit' } } });

  const { activity } = await execute(Feed, {});
  if (activity.__typename === 'LeadStageChanged') same<typeof activity.to.name, string>(true);

  const { node } = await execute(AnyNode, { id: 'an id' });
  if (node?.__typename === 'Lead') console.log(line(node));

  const code: ErrorCode = 'CURSOR_EXPIRED';
  // @ts-expect-error no such code
  const none: ErrorCode = 'TEAPOT';
  console.log(code, none);
}
