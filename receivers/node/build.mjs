// Compiles src/ twice: dist/esm for `import`, dist/cjs for `require`.
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
rmSync(join(here, 'dist'), { recursive: true, force: true });
for (const [folder, type, options] of [
  ['esm', 'module', ['--module', 'ES2022', '--moduleResolution', 'bundler']],
  ['cjs', 'commonjs', ['--module', 'CommonJS', '--moduleResolution', 'node10']],
]) {
  const out = join(here, 'dist', folder);
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'package.json'), JSON.stringify({ type }) + '\n');
  execFileSync(process.execPath, [tsc, '--project', here, '--outDir', out, ...options], {
    stdio: 'inherit',
  });
}
