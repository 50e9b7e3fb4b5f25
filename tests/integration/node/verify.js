// The official verifiers of the Node world, asked line by line: a JSON object in, an answer out.
import { createInterface } from 'node:readline';

import { verify as octokit } from '@octokit/webhooks-methods';
import '@shopify/shopify-api/adapters/node';
import { ApiVersion, LogSeverity, shopifyApi } from '@shopify/shopify-api';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import Stripe from 'stripe';
import { Webhook as SvixWebhook } from 'svix';

const stripe = new Stripe('sk_test_unused');

function shopify(secret) {
  return shopifyApi({
    apiKey: 'unused',
    apiSecretKey: secret,
    apiVersion: ApiVersion.January26,
    hostName: 'example.com',
    isEmbeddedApp: false,
    logger: { level: LogSeverity.Error },
  });
}

// Each throws, or returns false, for what it does not accept.
const verifiers = {
  standardwebhooks: (body, headers, secret) => new StandardWebhook(secret).verify(body, headers),
  svix: (body, headers, secret) => new SvixWebhook(secret).verify(body, headers),
  stripe: (body, headers, secret) =>
    stripe.webhooks.constructEvent(body, headers['stripe-signature'], secret),
  octokit: (body, headers, secret) =>
    octokit(secret, body.toString(), headers['x-hub-signature-256']),
  shopify: async (body, headers, secret) => {
    const request = { method: 'POST', url: '/', headers };
    const rawBody = body.toString();
    const { valid } = await shopify(secret).flow.validate({ rawBody, rawRequest: request });
    return valid;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { verifier, body, headers, secret } = JSON.parse(line);
  let answer;
  try {
    const found = await verifiers[verifier](Buffer.from(body, 'base64'), headers, secret);
    answer = { accepted: found !== false, error: '' };
  } catch (error) {
    answer = { accepted: false, error: `${error.name}: ${error.message}` };
  }
  console.log(JSON.stringify(answer));
}
