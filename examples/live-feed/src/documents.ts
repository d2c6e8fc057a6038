// What the program asks the server for. graphql-codegen makes the types of these from the schema.
import { graphql } from './generated/index.js';

/** An event as it is printed. */
graphql(`
  fragment Event on Activity {
    __typename
    id
    cursor
    at
    actor {
      ... on Member {
        name
      }
      ... on SystemActor {
        name
      }
    }
    lead {
      number
      title
      side
    }
    ... on LeadShared {
      partnership {
        counterpart {
          name
        }
      }
    }
    ... on LeadStageChanged {
      from {
        name
      }
      to {
        name
      }
      reason
    }
    ... on LeadStatusChanged {
      from {
        name
      }
      to {
        name
      }
      reason
    }
    ... on LeadExpiring {
      expiresAt
      to {
        name
      }
    }
    ... on LeadUpdated {
      changes {
        field
      }
    }
    ... on LeadOwnerChanged {
      toOwner {
        name
      }
    }
    ... on LeadNotice {
      message
    }
    ... on CommentAdded {
      comment {
        body
        visibility
      }
    }
    ... on CommentEdited {
      comment {
        body
        visibility
      }
    }
    ... on TaskChanged {
      change
      task {
        title
        assignedCompany {
          name
        }
        assignee {
          name
        }
      }
    }
    ... on OpportunityStageChanged {
      from {
        name
      }
      to {
        name
      }
    }
    ... on PartnershipChanged {
      partnership {
        counterpart {
          name
        }
      }
      stateSince: to
    }
  }
`);

/** What comes after a cursor, while it happens. */
export const Follow = graphql(`
  subscription Follow($after: String!) {
    activity(after: $after) {
      ...Event
    }
  }
`);

/** The events that came next after a cursor, or the first of all. A page has the newest of them first. */
export const ReadOn = graphql(`
  query ReadOn($after: String) {
    activity(last: 100, before: $after) {
      edges {
        node {
          ...Event
        }
      }
    }
  }
`);

/** Where the feed ends now. */
export const Newest = graphql(`
  query Newest {
    activity(first: 1) {
      edges {
        cursor
      }
    }
  }
`);
