// Questions and answers that the tests show.

export const QUESTION = "Which articles about summer are still drafts, and who wrote them?";

export const ANSWER = `Three articles about **summer** are still drafts:

| Title | State | Author | Changed |
|:------|:-----:|:-------|--------:|
| [Summer at the lake](https://www.contit.cloud/articles/summer-at-the-lake) | draft | Anna Rossi | 12 May 2026 |
| Ten picnics | draft | – | 3 June 2026 |
| Open-air cinema | draft | Marco Bianchi | 9 June 2026 |

- *Summer at the lake* has no English version yet.
- *Ten picnics* has **no author**. Its tags are \`summer\` and \`food\`.
  1. Set an author.
  2. Add a picture.

### How this was found

> Only the articles that you may read are counted.

\`\`\`json
{ "type": "article", "state": "draft", "tag": "summer" }
\`\`\`

See also [the editors' guide](https://www.contit.cloud/guide).
`;

export const FOLLOW_UP = "And which of them changed last?";
export const FOLLOW_UP_ANSWER = "*Open-air cinema* changed last, on **9 June 2026**. Marco Bianchi wrote it.";

export const IDS = { thread_id: "thread_4f1a", run_id: "run_88c2" };
export const COMPLETED = { status: "completed", ...IDS, response: ANSWER, elapsed_seconds: 12.3 };
export const RUNNING = { status: "in_progress", ...IDS, elapsed_seconds: 67 };
export const FAILED = { status: "failed", ...IDS, elapsed_seconds: 4.2, error: "Contit reports that the run failed; it does not say why." };
export const PART = {
  status: "completed", ...IDS, elapsed_seconds: 31, next_offset: 59_904, response_offset: 0, response_total: 142_318,
  response: Array.from({ length: 40 }, (_, n) => `${n + 1}. **Article ${n + 1}** is published, in English and Italian.`).join("\n"),
};
