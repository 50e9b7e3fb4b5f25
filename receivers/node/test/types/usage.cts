// The same by require(). Checked by tsc, never run.
import hookline = require('hookline-webhooks');
import adapter = require('hookline-webhooks/express');

export const verified: Promise<hookline.WebhookEvent<{ n: number }>> = hookline.verify('{}', {}, 's');
export const handler = adapter.webhook('secret', () => 204);
