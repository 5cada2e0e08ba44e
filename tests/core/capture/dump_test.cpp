#include "core/capture/dump.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/base/files.h"
#include "core/capture/attention_map.h"
#include "core/capture/hdf5_file.h"
#include "core/capture/spec_json.h"
#include "tests/core/capture/capture_fixture.h"
#include "tests/core/capture/python.h"

namespace saccade {
namespace {

using fixtures::bytes_of, fixtures::put, fixtures::python_with_h5py, fixtures::run_python;
using testing::ElementsAre;
using testing::HasSubstr;

void write(const Capture& capture, const std::filesystem::path& path, const DumpOptions& options = {}) {
  const auto written = write_dump(capture, path, options, fixtures::kernels(), {});
  ASSERT_TRUE(written.ok()) << written.error().to_string();
}

std::shared_ptr<const Capture> read(const std::filesystem::path& path) {
  auto capture = read_dump(path);
  EXPECT_TRUE(capture.ok()) << capture.error().to_string();
  return capture.ok() ? *capture : nullptr;
}

DumpOptions recorded_sites(const Capture& capture) {
  DumpOptions options;
  for (const auto& [site, values] : capture.sites) options.sites.push_back(site);
  return options;
}

void expect_same(const HostTensor& a, const HostTensor& b, const std::string& what) {
  ASSERT_EQ(a.shape(), b.shape()) << what;
  EXPECT_EQ(std::memcmp(a.data(), b.data(), static_cast<size_t>(a.bytes())), 0) << what;
}

void expect_same(const LayerCapture& a, const LayerCapture& b, const std::string& what) {
  expect_same(a.resid_pre, b.resid_pre, what + " resid_pre");
  expect_same(a.q, b.q, what + " q");
  expect_same(a.k, b.k, what + " k");
  expect_same(a.lse, b.lse, what + " lse");
  const HeadStatistics &s = a.statistics, &t = b.statistics;
  expect_same(s.entropy, t.entropy, what + " entropy");
  expect_same(s.max_weight, t.max_weight, what + " max_weight");
  expect_same(s.sink_mass, t.sink_mass, what + " sink_mass");
  expect_same(s.local_mass, t.local_mass, what + " local_mass");
  expect_same(s.mean_distance, t.mean_distance, what + " mean_distance");
  expect_same(s.received, t.received, what + " received");
  expect_same(s.received_max, t.received_max, what + " received_max");
  EXPECT_EQ(s.max_key, t.max_key) << what;
  ASSERT_EQ(a.knockouts.size(), b.knockouts.size()) << what;
  for (size_t h = 0; h < a.knockouts.size(); ++h) {
    ASSERT_EQ(a.knockouts[h].size(), b.knockouts[h].size()) << what;
    for (size_t i = 0; i < a.knockouts[h].size(); ++i)
      EXPECT_EQ(std::memcmp(&a.knockouts[h][i], &b.knockouts[h][i], sizeof(EdgeRect)), 0) << what;
  }
}

void expect_same(const Capture& a, const Capture& b) {
  const Provenance &p = a.provenance, &r = b.provenance;
  EXPECT_EQ(p.request, r.request);
  EXPECT_EQ(p.model_name, r.model_name);
  EXPECT_EQ(p.model_where, r.model_where);
  EXPECT_EQ(p.model_digest, r.model_digest);
  EXPECT_EQ(p.edits, r.edits);
  EXPECT_EQ(p.prompt, r.prompt);
  EXPECT_EQ(p.kernels, r.kernels);
  EXPECT_EQ(p.dtype + p.device + p.program + p.created, r.dtype + r.device + r.program + r.created);
  EXPECT_EQ(p.seconds, r.seconds);
  EXPECT_EQ(spec_to_json(a.spec), spec_to_json(b.spec));
  ASSERT_EQ(a.tokens.size(), b.tokens.size());
  for (size_t i = 0; i < a.tokens.size(); ++i) {
    const Token &t = a.tokens[i], &u = b.tokens[i];
    EXPECT_EQ(std::tie(t.id, t.text, t.begin, t.end, t.special),
              std::tie(u.id, u.text, u.begin, u.end, u.special))
        << "token " << i;
  }
  EXPECT_EQ(a.sink_keys, b.sink_keys);
  EXPECT_EQ(a.local_width, b.local_width);
  ASSERT_EQ(a.layers.size(), b.layers.size());
  for (size_t l = 0; l < a.layers.size(); ++l)
    expect_same(*a.layers[l], *b.layers[l], fmt::format("layer {}", l));
  expect_same(a.final_resid, b.final_resid, "final_resid");
  expect_same(a.last_logits, b.last_logits, "last_logits");
  EXPECT_EQ(a.loss, b.loss);
  ASSERT_EQ(a.sites.size(), b.sites.size());
  for (const auto& [site, values] : a.sites) {
    ASSERT_TRUE(b.sites.contains(site)) << full_name(site);
    expect_same(values, b.sites.at(site), full_name(site));
  }
}

TEST(Dump, ReadsBackBitForBit) {
  const fixtures::TemporaryFolder folder;
  const auto capture = fixtures::random_capture();
  write(*capture, folder / "a.h5", recorded_sites(*capture));
  const auto again = read(folder / "a.h5");
  ASSERT_TRUE(again);
  expect_same(*capture, *again);
  EXPECT_EQ(folder.files(), 1U) << "nothing but the dump may be left";
}

TEST(Dump, ACaptureThatKeptLittleReadsBackAsLittle) {
  const fixtures::TemporaryFolder folder;
  auto capture = fixtures::random_capture(1, 2, 2, 1);  // one token: no loss
  for (auto& layer : capture->layers) layer = std::make_shared<LayerCapture>();
  capture->final_resid = HostTensor();
  capture->sites.clear();
  capture->provenance.edits.clear();
  capture->provenance.prompt.clear();
  write(*capture, folder / "a.h5");
  const auto again = read(folder / "a.h5");
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->layers[0]->q.empty());
  EXPECT_TRUE(again->loss.empty());
  EXPECT_EQ(again->n_token(), 1);
  EXPECT_FALSE(AttentionMap::of(again, {}, fixtures::kernels()).ok());
}

TEST(Dump, MapsAreRegeneratedFromADumpWithoutTheModel) {
  const fixtures::TemporaryFolder folder;
  const auto capture = fixtures::random_capture();
  write(*capture, folder / "a.h5");
  const auto again = read(folder / "a.h5");
  ASSERT_TRUE(again);
  const HeadId edited{LayerIndex{1}, HeadIndex{3}};  // with knocked-out edges
  const auto a = AttentionMap::of(capture, edited, fixtures::kernels());
  const auto b = AttentionMap::of(again, edited, fixtures::kernels());
  ASSERT_TRUE(a.ok() && b.ok());
  const int64_t n = capture->n_token();
  expect_same(a->tile(0, n, 0, n, 1)->block_max, b->tile(0, n, 0, n, 1)->block_max, "map");
  EXPECT_EQ(*b->weight(6, 3), 0.0F);
}

TEST(Dump, PatternRowsSumToOneHoweverLargeTheScoresAre) {
  const fixtures::TemporaryFolder folder;
  for (const double sharpness : {1.0, 10.0, 100.0}) {
    const auto capture = fixtures::random_capture(130, 1, 4, 2, sharpness);
    write(*capture, folder / "a.h5", {{{HookSite::pattern, 0}}, false});
    auto file = h5::Reader::open(folder / "a.h5");
    ASSERT_TRUE(file.ok());
    const std::vector<int64_t> shape{4, 130, 130};
    std::vector<float> pattern(4 * 130 * 130);
    const auto done = file->numbers("blocks.0.attn.hook_pattern", h5::Number::float32, shape, pattern.data());
    ASSERT_TRUE(done.ok()) << done.error().to_string();
    for (size_t row = 0; row < 4 * 130; ++row) {
      const auto begin = pattern.begin() + static_cast<std::ptrdiff_t>(row * 130);
      ASSERT_NEAR(std::accumulate(begin, begin + 130, 0.0), 1.0, 5e-7)
          << "row " << row << " at " << sharpness;
    }
  }
}

TEST(Dump, TheSameCaptureGivesTheSameBytes) {
  const fixtures::TemporaryFolder folder;
  const auto capture = fixtures::random_capture();
  write(*capture, folder / "a.h5", {{{HookSite::pattern, 0}}, false});
  write(*capture, folder / "b.h5", {{{HookSite::pattern, 0}}, false});
  EXPECT_EQ(bytes_of(folder / "a.h5"), bytes_of(folder / "b.h5"));
}

TEST(Dump, RefusesASiteThatWasNotRecordedAndSaysHowToRecordIt) {
  const fixtures::TemporaryFolder folder;
  const auto capture = fixtures::random_capture();
  const auto v = write_dump(*capture, folder / "a.h5", {{{HookSite::v, 1}}, false}, fixtures::kernels(), {});
  ASSERT_FALSE(v.ok());
  EXPECT_THAT(v.error().to_string(), HasSubstr("--capture blocks.1.attn.hook_v"));
  EXPECT_THAT(v.error().to_string(), HasSubstr((folder / "a.h5").string()));
  const auto layer =
      write_dump(*capture, folder / "a.h5", {{{HookSite::pattern, 9}}, false}, fixtures::kernels(), {});
  ASSERT_FALSE(layer.ok());
  EXPECT_THAT(layer.error().message, HasSubstr("layers 0-2"));
  EXPECT_EQ(folder.files(), 0U);
}

TEST(Dump, InspectingListsWhatIsInTheFile) {
  const fixtures::TemporaryFolder folder;
  const auto capture = fixtures::random_capture();
  write(*capture, folder / "a.h5", {{{HookSite::pattern, 2}, {HookSite::z, 0}}, true});
  const auto info = inspect_dump(folder / "a.h5");
  ASSERT_TRUE(info.ok()) << info.error().to_string();
  EXPECT_EQ(info->version, 2);
  EXPECT_EQ(info->n_token, 70);
  EXPECT_EQ(info->provenance.model_name, "little");
  EXPECT_EQ(info->provenance.edits, capture->provenance.edits);
  const auto item = [&](const std::string& name) {
    for (const DumpItem& candidate : info->items)
      if (candidate.name == name) return candidate;
    ADD_FAILURE() << "no item " << name;
    return DumpItem{};
  };
  const DumpItem pattern = item("blocks.2.attn.hook_pattern");
  EXPECT_THAT(pattern.shape, ElementsAre(4, 70, 70));
  EXPECT_THAT(pattern.axes, ElementsAre("head", "query", "key"));
  EXPECT_EQ(pattern.dtype, "float16");
  EXPECT_GT(pattern.stored_bytes, 0);
  EXPECT_THAT(item("blocks.0.attn.hook_z").axes, ElementsAre("pos", "head", "d_head"));
  EXPECT_THAT(item("statistics/entropy").axes, ElementsAre("layer", "head", "query"));
  EXPECT_THAT(item("statistics/received").axes, ElementsAre("layer", "head", "key"));
  EXPECT_EQ(item("tokens/text").dtype, "string");
  EXPECT_EQ(item("tokens/ids").dtype, "int32");
  for (const DumpItem& any : info->items) EXPECT_THAT(any.name, testing::Not(testing::StartsWith("scales/")));
}

// ---- what other programs see -----------------------------------------------------------------------------

TEST(Dump, H5pyReadsNamesLabelsScalesAttributesAndTokens) {
  if (python_with_h5py().empty()) GTEST_SKIP() << "no python3 with h5py here";
  const fixtures::TemporaryFolder folder;
  const auto capture = fixtures::random_capture();
  DumpOptions options = recorded_sites(*capture);
  for (int32_t l = 0; l < 3; ++l)
    for (const HookSite site : {HookSite::pattern, HookSite::attn_scores}) options.sites.push_back({site, l});
  write(*capture, folder / "a.h5", options);
  EXPECT_EQ(run_python(folder / "a.h5", R"(
f = h5py.File(path, "r")
assert f.attrs["type"] == "saccade-dump" and f.attrs["version"] == 2
assert f.attrs["model_name"] == "little" and f.attrs["seconds"] == 0.125
assert f.attrs["prompt"] == "Lily \u2192 a\\x00b" and f.attrs["prompt_escaped"] == 1
assert "request_escaped" not in f.attrs
assert [e.decode() for e in f["provenance/edits"]] == ["zero 2.3", "# scale 0.* by=0.5"]
assert json.loads(f.attrs["spec"])["n_kv_head"] == 2
texts = f["tokens/text"].asstr()[:]
assert texts[1] == " cat" and texts[2] == "\\xe2" and texts[5] == "a\\b" and texts[6] == "\u65e5\u672c"
assert texts[8] == "\\xff\\\\", texts[8]
assert list(f["tokens/text_escaped"][:10]) == [0, 0, 1, 1, 1, 0, 0, 0, 1, 0]
assert f["tokens/ids"].dtype == np.int32 and f["tokens/special"][0] == 1

def check(item, name):
    if not isinstance(item, h5py.Dataset) or h5py.h5ds.is_scale(item.id):
        return
    for i, dim in enumerate(item.dims):
        assert dim.label, name
        assert len(dim) == 1 and len(dim[0]) == item.shape[i], name
        assert list(dim[0][:3]) == [0, 1, 2][:item.shape[i]], name
f.visititems(lambda name, item: check(item, name))
for l in range(3):
    p = f["blocks.%d.attn.hook_pattern" % l]
    assert p.dtype == np.float32 and [d.label for d in p.dims] == ["head", "query", "key"]
    rows = p[:].astype(np.float64).sum(-1)
    alive = np.ones_like(rows, bool)
    if l == 1: alive[3, 35:37] = False          # every key knocked out
    assert np.abs(rows[alive] - 1).max() < 1e-6 and (rows[~alive] == 0).all()
    assert (np.triu(p[:], 1) == 0).all()
    q, k = f["blocks.%d.attn.hook_q" % l][:].astype(float), f["blocks.%d.attn.hook_k" % l][:].astype(float)
    s = np.einsum("qhd,khd->hqk", q, np.repeat(k, 2, axis=1)) / math.sqrt(8)
    s[:, np.triu(np.ones((70, 70), bool), 1)] = -np.inf
    if l == 1:
        s[3, 35:37] = -np.inf
        s[3, 5:9, 3] = -np.inf
    scores = f["blocks.%d.attn.hook_attn_scores" % l][:]
    assert (np.isinf(s) == np.isinf(scores)).all()
    finite = np.isfinite(s)
    assert np.abs(s[finite] - scores[finite]).max() < 2e-5, np.abs(s[finite] - scores[finite]).max()
    lse = f["blocks.%d.attn.lse" % l][:]
    with np.errstate(divide="ignore", invalid="ignore"):
        assert np.abs(np.log(np.exp(s).sum(-1)) - lse)[alive].max() < 1e-5
z = f["blocks.0.attn.hook_z"]
assert z.shape == (70, 4, 8) and [d.label for d in z.dims] == ["pos", "head", "d_head"]
assert f["hook_embed"].shape == (70, 24) and f["blocks.2.hook_resid_post"].shape == (70, 24)
assert f["statistics/max_key"].shape == (3, 4, 70) and f["loss"].shape == (69,)
assert [list(r) for r in f["knockouts"]] == [[1, 3, 35, 37, 0, 70], [1, 3, 5, 9, 3, 4]]
assert f["logits/last"].dims[0].label == "vocab"
)"),
            "");
}

TEST(Dump, LongMapsInHalfPrecisionLeaveOutWhatLiesAboveTheDiagonal) {
  const fixtures::TemporaryFolder folder;
  const auto capture = fixtures::random_capture(1200, 1, 1, 1);
  write(*capture, folder / "a.h5", {{{HookSite::pattern, 0}, {HookSite::attn_scores, 0}}, true});
  if (python_with_h5py().empty()) GTEST_SKIP() << "no python3 with h5py here";
  EXPECT_EQ(run_python(folder / "a.h5", R"(
f = h5py.File(path, "r")
p, s = f["blocks.0.attn.hook_pattern"], f["blocks.0.attn.hook_attn_scores"]
assert p.dtype == np.float16 and s.dtype == np.float16
assert p.id.get_num_chunks() == 19 + 3, p.id.get_num_chunks()   # 19 rows of chunks, 3 reach column 1024
a = p[0].astype(np.float64)
above = np.triu(np.ones((1200, 1200), bool), 1)
assert (a[above] == 0).all() and np.isneginf(s[0][above]).all() and np.isfinite(s[0][~above]).all()
assert np.abs(a.sum(-1) - 1).max() < 2e-3                         # half precision
)"),
            "");
}

TEST(Dump, ADumpThatH5pyChangedIsReadWithoutItsSeal) {
  if (python_with_h5py().empty()) GTEST_SKIP() << "no python3 with h5py here";
  const fixtures::TemporaryFolder folder;
  const auto capture = fixtures::random_capture();
  write(*capture, folder / "a.h5");
  EXPECT_EQ(run_python(folder / "a.h5", "h5py.File(path, 'r+').attrs['note'] = 'mine'\n"), "");
  const auto again = read(folder / "a.h5");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->loss, capture->loss);
}

// ---- nothing is ever torn --------------------------------------------------------------------------------

// Runs `child` in a process of its own, which ends as programs do, and gives its wait status.
int status_of(const std::function<int()>& child) {
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) std::exit(child());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return status;
}

TEST(Dump, AProcessKilledInTheMiddleLeavesTheOldFileWhole) {
  const fixtures::TemporaryFolder folder;
  const std::filesystem::path path = folder / "a.h5";
  const auto old = fixtures::random_capture(20);
  write(*old, path);
  const std::string before = bytes_of(path);
  const auto fresh = fixtures::random_capture(70);
  const int status = status_of([&] {
    JobContext job;
    job.on_progress = [](double fraction, std::string_view) {
      if (fraction > 0.5) ::kill(::getpid(), SIGKILL);
    };
    (void)write_dump(*fresh, path, {{{HookSite::pattern, 0}}, false}, fixtures::kernels(), job);
    return 0;
  });
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the child was not killed in time";
  EXPECT_EQ(bytes_of(path), before);
  expect_same(
      *old, *[&] {
        auto without_sites = std::make_shared<Capture>(*read(path));
        without_sites->sites = old->sites;
        return without_sites;
      }());
}

TEST(Dump, CancellingEndsWithTheOldFileAndNoRemains) {
  const fixtures::TemporaryFolder folder;
  const std::filesystem::path path = folder / "a.h5";
  const auto capture = fixtures::random_capture();
  write(*capture, path);
  const std::string before = bytes_of(path);
  int calls = 0;
  double last = 0.0;
  JobContext job;
  job.on_progress = [&](double fraction, std::string_view) {
    EXPECT_GE(fraction, last);
    last = fraction;
    if (++calls == 20) job.cancel.cancel();
  };
  const auto written =
      write_dump(*capture, path, {{{HookSite::pattern, 0}}, false}, fixtures::kernels(), job);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, ErrorCode::cancelled);
  EXPECT_EQ(calls, 20) << "work went on after it was cancelled";
  EXPECT_EQ(bytes_of(path), before);
  EXPECT_EQ(folder.files(), 1U);
}

TEST(Dump, AFullDiskIsAnErrorThatNamesFileAndDatasetAndLeavesTheOldFile) {
  const fixtures::TemporaryFolder folder;
  const std::filesystem::path path = folder / "a.h5";
  write(*fixtures::random_capture(20), path);
  const std::string before = bytes_of(path);
  const auto capture = fixtures::random_capture(300);
  // A limit on the size of files stands for the full disk: the system refuses to write beyond it.
  for (const rlim_t limit : {rlim_t{0}, rlim_t{3000}, rlim_t{100'000}, rlim_t{900'000}}) {
    const int status = status_of([&] {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit small{limit, limit};
      ::setrlimit(RLIMIT_FSIZE, &small);
      const auto written =
          write_dump(*capture, path, {{{HookSite::attn_scores, 0}}, false}, fixtures::kernels(), {});
      if (written.ok()) return 1;
      const std::string message = written.error().to_string();
      if (message.find(path.string()) == std::string::npos) return 2;
      if (message.find("File too large") == std::string::npos) return 3;
      if (limit == 900'000 && message.find("blocks.0.attn.hook_attn_scores") == std::string::npos) return 4;
      return folder.files() == 1 ? 0 : 5;
    });
    ASSERT_TRUE(WIFEXITED(status)) << "the writer crashed at " << limit;
    EXPECT_EQ(WEXITSTATUS(status), 0) << "at " << limit;
    EXPECT_EQ(bytes_of(path), before);
  }
}

TEST(Dump, AFolderThatDoesNotExistIsAnErrorThatNamesIt) {
  const auto capture = fixtures::random_capture(5);
  const auto written = write_dump(*capture, "/nowhere/at/all.h5", {}, fixtures::kernels(), {});
  ASSERT_FALSE(written.ok());
  EXPECT_THAT(written.error().to_string(), HasSubstr("/nowhere/at/all.h5"));
  EXPECT_THAT(written.error().to_string(), HasSubstr("No such file or directory"));
}

// ---- files that are not what they say --------------------------------------------------------------------

TEST(Dump, RefusesWhatIsNoHdf5FileAndWhatIsNotThere) {
  const fixtures::TemporaryFolder folder;
  put(folder / "text.h5", "this is a diary");
  put(folder / "empty.h5", "");
  for (const char* name : {"text.h5", "empty.h5"}) {
    const auto capture = read_dump(folder / name);
    ASSERT_FALSE(capture.ok());
    EXPECT_THAT(capture.error().to_string(), HasSubstr("expected an HDF5 file"));
    EXPECT_THAT(capture.error().to_string(), HasSubstr(name));
  }
  const auto missing = read_dump(folder / "missing.h5");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  EXPECT_FALSE(read_dump(folder / ".").ok());
  EXPECT_FALSE(inspect_dump(folder / "text.h5").ok());
}

TEST(Dump, DamagedAndTruncatedCopiesAreRefusedOrReadAsTheyWere) {
  const fixtures::TemporaryFolder folder;
  const auto capture = fixtures::random_capture(12, 2, 2, 1);
  write(*capture, folder / "a.h5");
  const std::string whole = bytes_of(folder / "a.h5");
  int refused = 0;
  for (int i = 0; i < 60; ++i) {
    const size_t at = whole.size() * static_cast<size_t>(i) / 60;
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << (i % 8)));
    put(folder / "flipped.h5", flipped);
    const auto read = read_dump(folder / "flipped.h5");
    EXPECT_FALSE(read.ok()) << "bit " << i % 8 << " of byte " << at << " was not missed";
    refused += read.ok() ? 0 : 1;
    put(folder / "short.h5", whole.substr(0, at));
    EXPECT_FALSE(read_dump(folder / "short.h5").ok()) << "cut at " << at;
    EXPECT_FALSE(inspect_dump(folder / "short.h5").ok()) << "cut at " << at;
  }
  EXPECT_EQ(refused, 60);
}

// Foreign files are made with h5py: the reader must judge them by what they hold.
struct Forgery {
  const char* what;
  const char* script;  // changes `f`, a dump opened for writing
  const char* expected;
};

TEST(Dump, ForeignFilesAreRefusedWithOneClearMessage) {
  if (python_with_h5py().empty()) GTEST_SKIP() << "no python3 with h5py here";
  const std::vector<Forgery> forgeries{
      {"no type", "del f.attrs['type']", "root attribute type"},
      {"another type", "f.attrs['type'] = 'recipe'", "found 'recipe'"},
      {"a number as type", "f.attrs['type'] = 7", "expected a text"},
      {"a list as type", "f.attrs['type'] = ['saccade-dump', 'x']", "expected a text"},
      {"a newer version", "f.attrs['version'] = 3", "found version 3"},
      {"a text as version", "f.attrs['version'] = 'one'", "expected a whole number"},
      {"no spec", "del f.attrs['spec']", "'spec'"},
      {"a spec that is no JSON", "f.attrs['spec'] = '{'", "expected JSON"},
      {"a deep spec", "f.attrs['spec'] = '{\"family\":' + '[' * 40000 + ']' * 40000 + '}'", "spec"},
      {"a lying spec", "f.attrs['spec'] = f.attrs['spec'].replace('\"d_head\":8', '\"d_head\":9')",
       "expected shape [12, 2, 9], found [12, 2, 8]"},
      {"a giant spec", "f.attrs['spec'] = f.attrs['spec'].replace('\"n_layer\":2', '\"n_layer\":2000000000')",
       "from 1 to 10000"},
      {"a missing dataset", "del f['tokens/ids']", "'tokens/ids': it is missing"},
      {"a group in place of a dataset", "del f['tokens/ids']; f.create_group('tokens/ids')", "it is missing"},
      {"another number type", "v = f['tokens/ids'][:]; del f['tokens/ids']; f['tokens/ids'] = v.astype('f8')",
       "expected int32, found float64"},
      {"an id outside the vocabulary", "f['tokens/ids'][3] = 300", "expected ids below 300"},
      {"tokens of another length", "del f['tokens/begin']; f['tokens/begin'] = np.zeros(5, 'i8')",
       "expected shape [12], found [5]"},
      {"numbers as texts", "del f['tokens/text']; f['tokens/text'] = np.zeros(12)", "variable-length texts"},
      {"an absurd size",
       "del f['tokens/text']; f.create_dataset('tokens/text', (1 << 40,), h5py.string_dtype(), chunks=(1,))",
       "promises more"},
      {"a bad escape", "f['tokens/text_escaped'][:] = 1; f['tokens/text'][1] = '\\\\xzz'", "escaped text"},
      {"a link out of the file",
       "del f['tokens/ids']; f['tokens/ids'] = h5py.ExternalLink('/etc/passwd', '/x')", "it is missing"},
      {"numbers in another file",
       "del f['tokens/ids']; f.create_dataset('tokens/ids', (12,), 'i4', external=[('/etc/passwd', 0, 48)])",
       "another file"},
      {"a key that does not exist", "f['statistics/max_key'][0, 0, 0] = 12", "expected keys below 12"},
      {"a knockout outside the map", "f['knockouts'] [0, 3] = 99", "rectangle 0"},
      {"an unknown site", "del f['provenance/sites']; f['provenance/sites'] = ['blocks.0.hook_soul']",
       "no hook site is called"},
      {"a site that is not there",
       "del f['provenance/sites']; f['provenance/sites'] = ['blocks.0.attn.hook_v']",
       "'blocks.0.attn.hook_v': it is missing"},
  };
  const fixtures::TemporaryFolder folder;
  write(*fixtures::random_capture(12, 2, 2, 1), folder / "a.h5");
  const std::string whole = bytes_of(folder / "a.h5");
  std::string script = "whole = open(path, 'rb').read()\n";
  for (size_t i = 0; i < forgeries.size(); ++i)
    script += fmt::format(
        "open(path + '.{0}', 'wb').write(whole)\nf = h5py.File(path + '.{0}', 'r+')\n{1}\nf.close()\n", i,
        forgeries[i].script);
  ASSERT_EQ(run_python(folder / "a.h5", script), "");
  for (size_t i = 0; i < forgeries.size(); ++i) {
    const std::filesystem::path path = folder / fmt::format("a.h5.{}", i);
    const auto capture = read_dump(path);
    ASSERT_FALSE(capture.ok()) << forgeries[i].what;
    EXPECT_THAT(capture.error().to_string(), HasSubstr(forgeries[i].expected)) << forgeries[i].what;
    EXPECT_THAT(capture.error().to_string(), HasSubstr(path.string())) << forgeries[i].what;
    EXPECT_LT(capture.error().to_string().size(), 2000U) << forgeries[i].what;
    (void)inspect_dump(path);  // must not crash either
  }
}

}  // namespace
}  // namespace saccade
