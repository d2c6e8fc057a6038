// What a Relay application asks for; relay-compiler reads it, and nobody runs it.
import { graphql } from 'relay-runtime';

export const leads = graphql`
  fragment Leads_query on Query
  @argumentDefinitions(count: { type: "Int", defaultValue: 20 }, cursor: { type: "String" }, filter: { type: "LeadFilter" })
  @refetchable(queryName: "LeadsPaginationQuery") {
    leads(first: $count, after: $cursor, filter: $filter) @connection(key: "Leads_query_leads") {
      edges {
        node {
          id
          ...Leads_lead
        }
      }
    }
  }
`;

export const lead = graphql`
  fragment Leads_lead on Lead @refetchable(queryName: "LeadRefetchQuery") {
    number
    title
    expiresAt
    stage {
      key
      name
    }
    availableActions {
      key
    }
  }
`;

export const thread = graphql`
  fragment Leads_thread on Lead
  @argumentDefinitions(count: { type: "Int", defaultValue: 10 }, cursor: { type: "String" })
  @refetchable(queryName: "ThreadPaginationQuery") {
    comments(last: $count, before: $cursor) @connection(key: "Leads_thread_comments") {
      edges {
        node {
          body
          author {
            name
          }
        }
      }
    }
  }
`;

export const history = graphql`
  fragment Leads_history on Lead
  @argumentDefinitions(count: { type: "Int", defaultValue: 10 }, cursor: { type: "String" })
  @refetchable(queryName: "HistoryPaginationQuery") {
    activity(first: $count, after: $cursor) @connection(key: "Leads_history_activity") {
      edges {
        node {
          __typename
          id
          at
          ... on LeadStageChanged {
            to {
              name
            }
          }
          ... on LeadCustomerDataErased {
            reason
          }
        }
      }
    }
  }
`;

export const page = graphql`
  query LeadsPageQuery($filter: LeadFilter) {
    viewer {
      id
      name
      company {
        id
        name
      }
    }
    ...Leads_query @arguments(filter: $filter)
  }
`;

export const one = graphql`
  query LeadsOneQuery($id: ID!) {
    node(id: $id) @required(action: NONE) {
      ... on Lead {
        ...Leads_lead
        ...Leads_thread
        ...Leads_history
      }
    }
  }
`;

export const accept = graphql`
  mutation LeadsAcceptMutation($input: AcceptLeadInput!) {
    acceptLead(input: $input) {
      lead {
        ...Leads_lead
        acceptedAt
      }
    }
  }
`;

export const comment = graphql`
  mutation LeadsCommentMutation($input: AddCommentInput!, $connections: [ID!]!) {
    addComment(input: $input) {
      comment @appendNode(connections: $connections, edgeTypeName: "CommentEdge") {
        body
      }
    }
  }
`;

export const changed = graphql`
  subscription LeadsChangedSubscription($leadId: ID) {
    leadChanged(leadId: $leadId) {
      ...Leads_lead
    }
  }
`;

export const feed = graphql`
  subscription LeadsFeedSubscription($after: String) {
    activity(after: $after) {
      __typename
      cursor
      lead {
        id
        ...Leads_lead
      }
    }
  }
`;
