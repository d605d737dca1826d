export default {
  wares: {
    input: { target: './openapi.json' },
    output: { target: './wares.ts', client: 'fetch', mode: 'split' },
  },
};
