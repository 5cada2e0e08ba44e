// saccade-cli: everything the window can do, without a display.
// Results on stdout, progress and logs on stderr. Exit 0 done, 1 failed, 2 wrong usage, 130 cancelled.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <functional>

#include "app/cli/commands.h"
#include "core/run/edit_verbs.h"

namespace {

using namespace saccade;
using namespace saccade::cli;

// A signal handler may touch little; a lock-free flag is allowed.
const CancelFlag* interrupt_flag = nullptr;
void on_interrupt(int) {
  if (interrupt_flag) interrupt_flag->cancel();
}

void add_input(CLI::App& command, InputOptions& input) {
  auto* prompt =
      command.add_option("--prompt", input.prompt, "the prompt")->each([&input](const std::string&) {
        input.prompt_given = true;
      });
  auto* file = command.add_option("--prompt-file", input.prompt_file, "a UTF-8 file that holds the prompt");
  auto* ids = command.add_option("--ids", input.ids, "token ids, as they are: 1,2,3");
  prompt->excludes(file)->excludes(ids);
  file->excludes(ids);
  command
      .add_option("--image", input.images,
                  "a picture file; once for every place for one in the text (<image>), in order")
      ->allow_extra_args(false);
  command.add_flag("--no-bos", input.no_bos, "add no BOS or other special tokens");
  command.add_flag("--chat", input.chat, "the prompt as a user's message, by the model's chat template");
}

void add_edits(CLI::App& command, std::vector<std::string>& edits) {
  command
      .add_option("--edit", edits,
                  "an edit, VERB TARGET [key=value]..., e.g. \"zero 5.1\", \"knockout 5.1 query=14 key=4\", "
                  "\"redistribute 5.1 by=0.4 key=0 to=rest\"; verbs: " +
                      std::string(verb_names()))
      ->allow_extra_args(false);
}

// One line that is overwritten, only where a person watches.
void show_progress(Context& context) {
  if (context.verbosity == 0 || !isatty(STDERR_FILENO)) return;
  context.job.on_progress = [](double fraction, std::string_view what) {
    fmt::print(stderr, "\r\033[K{:3.0f} %  {}{}", 100.0 * fraction, what, fraction >= 1.0 ? "\r\033[K" : "");
  };
}

int finish(const Result<void>& outcome) {
  if (outcome.ok()) return 0;
  fmt::print(stderr, "saccade-cli: {}\n", outcome.error().to_string());
  return outcome.error().code == ErrorCode::cancelled ? 130 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Saccade without a display: run transformers, see their attention heads, change them, compare.");
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", "saccade " SACCADE_VERSION);
  Context context;
  bool verbose = false, quiet = false;
  app.add_flag("--json", context.json, "one JSON document on stdout, nothing else");
  app.add_option("--threads", context.threads, "threads (default: all cores)")->check(CLI::NonNegativeNumber);
  app.add_option("--device", context.device, "where models run: cpu, cuda, cuda:1");
  app.add_option("--dtype", context.dtype, "arithmetic of matrix products: f32, bf16");
  app.add_option("--kernels", context.kernels, "attention kernels: auto, or one of those `info` may list");
  app.add_option("--plugins", context.plugins,
                 "a folder of plugins, besides those of SACCADE_PLUGINS, the program's and the user's own")
      ->allow_extra_args(false);
  app.add_flag("-v", verbose, "say more on stderr");
  app.add_flag("-q", quiet, "say nothing on stderr but errors");

  std::function<Result<void>()> work;
  std::string model, text, folder, shape, method, a, b, out, name;
  uint64_t seed = 0;
  bool no_bos = false;
  RunOptions run_options;
  run_options.sampling.max_tokens = 0;
  MapOptions map_options;
  AnalyzeOptions analyze_options;
  PageOptions page_options;
  ReplayOptions replay_options;
  BenchOptions bench_options;
  GazeOptions gaze_options;

  CLI::App* command =
      app.add_subcommand("info", "what a checkpoint is: shape, parameters, memory, tokenizer");
  command
      ->add_option("MODEL", model,
                   "a folder, a file, demo:NAME, or as:FAMILY:PATH to read it as another family")
      ->required();
  command->callback([&] { work = [&] { return info(context, model); }; });

  command = app.add_subcommand("tokenize", "text to token ids");
  command->add_option("MODEL", model)->required();
  command->add_option("TEXT", text, "the text, or - for standard input")->required();
  command->add_flag("--no-bos", no_bos, "add no BOS or other special tokens");
  command->callback([&] { work = [&] { return tokenize(context, model, text, no_bos); }; });

  command = app.add_subcommand("run", "prompt to next tokens; with edits, the baseline beside them");
  command->add_option("MODEL", run_options.model)->required();
  add_input(*command, run_options.input);
  add_edits(*command, run_options.edits);
  command->add_option("--top", run_options.top, "how many next tokens")->check(CLI::PositiveNumber);
  command->add_option("--generate", run_options.sampling.max_tokens, "tokens to generate")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--temperature", run_options.sampling.temperature, "0 = greedy")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--top-k", run_options.sampling.top_k, "sample from the K most probable; 0 = all");
  command->add_option("--top-p", run_options.sampling.top_p, "sample from the smallest set of this mass");
  command->add_option("--seed", run_options.sampling.seed, "of the sampler");
  auto* contrast = command
                       ->add_option("--contrast", run_options.contrast.edits,
                                    "steer the generated text away from what the prompt gives under this "
                                    "edit (knockout *.* key=img: without the picture); may be repeated")
                       ->allow_extra_args(false);
  command
      ->add_option("--contrast-outliers", run_options.contrast.outliers,
                   "steer it away from what K outlier tokens of the picture alone would say (DAMRO)")
      ->check(CLI::PositiveNumber)
      ->excludes(contrast);
  command->add_option("--contrast-alpha", run_options.contrast.alpha,
                      "how far: (1 + A) logits - A those of the other");
  command
      ->add_option("--contrast-cut", run_options.contrast.plausibility,
                   "tokens below this share of the most probable one are never drawn")
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--capture", run_options.capture,
                      "hook sites to keep in full: names, wildcards, short forms");
  command->add_option("--dump", run_options.dump, "write an HDF5 dump");
  command
      ->add_option("--label", run_options.labels,
                   "a text to compare the picture with, for CLIP and SigLIP; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--save", run_options.save, "write a session that `replay` repeats");
  command->callback([&] { work = [&] { return run(context, run_options); }; });

  command = app.add_subcommand("map", "one head's attention map as a picture or as numbers");
  command->add_option("MODEL", map_options.model)->required();
  add_input(*command, map_options.input);
  add_edits(*command, map_options.edits);
  command->add_option("--head", map_options.head, "5.1 or L5H1")->required();
  command->add_option("--rows", map_options.rows, "queries A:B, half open");
  command->add_option("--cols", map_options.columns, "keys A:B, half open");
  command->add_option("--out", map_options.out, "F.png, .svg, .pdf, .csv or .npy")->required();
  command->add_option("--palette", map_options.palette, "viridis, magma, cividis, grey, jet, red-blue");
  command->add_option("--sinks", map_options.mode,
                      "as is; log; hide sinks, keep scale; hide sinks, renormalise");
  command->add_flag("--difference", map_options.difference, "edited minus baseline");
  command->add_flag("--over-picture", map_options.over_picture,
                    "draw the row of one token over the picture, patch by patch");
  command->add_option(
      "--query", map_options.query,
      "with --over-picture: the position, or row,column of a patch; default: CLS, or the last token");
  command->add_option("--picture", map_options.picture, "with --over-picture: which of several, from 0")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--alpha", map_options.alpha, "with --over-picture: how opaque the map is, 0 to 1")
      ->check(CLI::Range(0.0, 1.0));
  command
      ->add_option("--high", map_options.high,
                   "with --over-picture: the highest colour's weight; default: the map's")
      ->check(CLI::PositiveNumber);
  command->add_flag("--smooth", map_options.smooth, "with --over-picture: bilinear between the patches");
  command->callback([&] { work = [&] { return map(context, map_options); }; });

  command =
      app.add_subcommand("methods", "the analysis methods, plugins among them: ids, citations, parameters");
  command->add_option("METHOD", method);
  command->callback([&] { work = [&] { return list_methods(context, method); }; });

  command = app.add_subcommand("analyze", "one analysis method on one run");
  command->add_option("METHOD", analyze_options.method)->required();
  command->add_option("MODEL", analyze_options.model)->required();
  add_input(*command, analyze_options.input);
  add_edits(*command, analyze_options.edits);
  command->add_option("--set", analyze_options.set, "a parameter, NAME=VALUE")->allow_extra_args(false);
  command->add_option("--out", analyze_options.out, "F.json, .csv, .svg, .pdf or .png");
  command->add_option("--keep", analyze_options.keep,
                      "a file of answers: added to as they come, and not asked for again the next time");
  command->callback([&] { work = [&] { return analyze(context, analyze_options); }; });

  command = app.add_subcommand("report", "a page written from the runs and methods that a recipe names");
  command->add_option("RECIPE", page_options.recipe, "a JSON file, see resources/recipes")->required();
  command->add_option("--out", page_options.out, "F.md; figures go into figures/ beside it")->required();
  command->add_option("--model", page_options.models, "NAME=WHERE: the place of a model the recipe names")
      ->allow_extra_args(false);
  command->callback([&] { work = [&] { return report(context, page_options); }; });
  command =
      app.add_subcommand("gaze", "files of eye movements: what they hold, against each other, against a map");
  command->add_option("FILE", gaze_options.file, "fixations: .csv, .tsv, an EyeLink report, OSIE's .mat")
      ->required();
  command->add_option("--against", gaze_options.against, "compare its paths with those of this file");
  command->add_option("--map", gaze_options.map, "score this saliency map (.npy or .csv) at the fixations");
  command->add_option("--words", gaze_options.words, "reading measures over this table of word boxes");
  command->add_flag("--agreement", gaze_options.agreement,
                    "people against each other, the centre and strangers");
  command->add_flag("--centre", gaze_options.centre,
                    "every saliency metric of the centre bias, picture by picture");
  command->add_option("--stimulus", gaze_options.stimulus, "one picture of the file");
  command->add_option("--pictures", gaze_options.pictures, "the first so many pictures")
      ->check(CLI::PositiveNumber);
  command->add_option("--size", gaze_options.size,
                      "WIDTHxHEIGHT of the pictures, where the file does not say it");
  command->add_option("--time", gaze_options.time, "unit of durations: automatic, ms, s");
  command->add_option("--sigma", gaze_options.sigma, "pixels of the Gaussian of a fixation")
      ->check(CLI::PositiveNumber);
  command->add_option("--picture", gaze_options.picture, "the picture under a figure: .jpg, .png");
  command->add_option("--paths", gaze_options.paths, "write the scanpaths as .csv");
  command->add_option("--out", gaze_options.out,
                      "F.json or F.csv: the result; F.svg: a figure of one picture's paths; F.gif or F.mp4: "
                      "the same, moving");
  command->add_option("--speed", gaze_options.speed, "of the animation: 2 = twice as fast as it was")
      ->check(CLI::PositiveNumber);
  command->callback([&] { work = [&] { return gaze(context, gaze_options); }; });

  command = app.add_subcommand("compare", "two dumps or sessions: what changed, head by head");
  command->add_option("A", a)->required();
  command->add_option("B", b)->required();
  command->callback([&] { work = [&] { return compare_files(context, a, b); }; });

  command = app.add_subcommand("replay", "do again what a session file says");
  command->add_option("SESSION", replay_options.session)->required();
  command->add_option("--out", replay_options.out, "a folder for figures, dumps and results of analyses");
  command->add_option("--model", replay_options.model, "this model instead of the session's");
  command->add_option("--reference", replay_options.reference,
                      "a JSON file of numbers to compare the session's analyses with");
  command->callback([&] { work = [&] { return replay(context, replay_options); }; });

  command = app.add_subcommand("dump-info", "what an HDF5 dump holds");
  command->add_option("FILE", a)->required();
  command->callback([&] { work = [&] { return dump_info(context, a); }; });

  command = app.add_subcommand("make-random", "a checkpoint of a known shape with random weights");
  command->add_option("SHAPE", shape, "gpt2-small, gpt2-tiny, llama-tiny, llama-1b, llama-7b, llava-small")
      ->required();
  command->add_option("DIR", folder)->required();
  command->add_option("--seed", seed);
  command->callback([&] { work = [&] { return make_random(context, shape, folder, seed); }; });

  command = app.add_subcommand("demo", "the bundled models; with a name, the whole way once into a folder");
  command->add_option("NAME", name);
  command->add_option("--out", out, "folder for pictures and dumps (default: out/demo)");
  command->callback([&] { work = [&] { return demo(context, name, out.empty() ? "out/demo" : out); }; });

  command = app.add_subcommand("bench", "how fast, as ratios to the machine's own rates in the same run");
  command->add_option(
      "WHICH", bench_options.which,
      "open, run, attention, sweep, decode, methods, head-table, long, tokenize, vision, window; "
      "default: all but long");
  command->add_option("--tokens", bench_options.tokens, "how many `long` reads")
      ->check(CLI::Range(1, 131072));
  command->add_option("--folder", bench_options.folder,
                      "where the random models are made and kept (default: a temporary one)");
  command->add_option("--model", bench_options.model, "whose tokenizer `tokenize` runs (default: a demo's)");
  command->callback([&] { work = [&] { return bench(context, bench_options); }; });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  context.verbosity = quiet ? 0 : verbose ? 2 : 1;
  interrupt_flag = &context.job.cancel;
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
  show_progress(context);
  return finish(work());
}
