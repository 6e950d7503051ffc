// A small shop on Vendure, its database (SQLite as WebAssembly, no compiler needed) in memory.
//   node server.js populate FILE        fill an empty shop and write it to FILE
//   node server.js serve FILE PORT      serve a copy of FILE in memory on loopback until standard input ends
// NODE_PATH names the node_modules that hold Vendure.
const fs = require('fs');
const core = require('@vendure/core');
const { populate } = require('@vendure/core/cli');

const [mode, file, port] = process.argv.slice(2);
const PRODUCTS = [
  ['WIDGET-1', 'Widget', 1250],
  ['GADGET-2', 'Gadget', 1999],
  ['BOLT-M8', 'Bolt M8', 7],
];

const config = {
  apiOptions: { hostname: '127.0.0.1', port: Number(port || 3000), adminApiPath: 'admin-api', shopApiPath: 'shop-api' },
  authOptions: {
    tokenMethod: ['bearer'],
    requireVerification: false,
    superadminCredentials: { identifier: 'superadmin', password: 'only-for-tests' },
    cookieOptions: { secret: 'only-for-tests' },
  },
  dbConnectionOptions: {
    type: 'sqljs',
    synchronize: mode === 'populate',
    logging: false,
    ...(mode === 'serve' ? { database: fs.readFileSync(file) } : {}),
  },
  paymentOptions: { paymentMethodHandlers: [core.dummyPaymentHandler] },
  logger: new core.DefaultLogger({ level: core.LogLevel.Error }),
};

async function fill() {
  const app = await populate(() => core.bootstrap(config), __dirname + '/initial-data.json');
  const context = () => app.get(core.RequestContextService).create({ apiType: 'admin', languageCode: 'en' });
  const channels = app.get(core.ChannelService);
  let ctx = await context();
  const channel = await channels.getDefaultChannel(ctx);
  await channels.update(ctx, { id: channel.id, defaultCurrencyCode: 'EUR', availableCurrencyCodes: ['EUR'] });
  ctx = await context();
  const taxes = await app.get(core.TaxCategoryService).findAll(ctx);
  const standard = taxes.items.find(tax => tax.name === 'Standard Tax');
  for (const [sku, name, price] of PRODUCTS) {
    const product = await app.get(core.ProductService).create(ctx, {
      enabled: true,
      translations: [{ languageCode: 'en', name, slug: sku.toLowerCase(), description: '' }],
    });
    await app.get(core.ProductVariantService).create(ctx, [
      {
        productId: product.id, sku, price, taxCategoryId: standard.id, stockOnHand: 1000, trackInventory: 'TRUE',
        translations: [{ languageCode: 'en', name }],
      },
    ]);
  }
  await app.get(core.TransactionalConnection).rawConnection.driver.save(file);
  process.exit(0);
}

async function serve() {
  process.stdin.on('end', () => process.exit(0)).resume();
  await core.bootstrap(config);
}

(mode === 'populate' ? fill() : serve()).catch(error => {
  console.error(error);
  process.exit(1);
});
