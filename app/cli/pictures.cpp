#include "app/cli/pictures.h"

#include <filesystem>
#include <system_error>

#include "analysis/export/figure.h"
#include "core/capture/dump.h"
#include "core/session/session.h"

namespace saccade::cli {

Result<Pictures> write_pictures(const Context& context, const Work& work, HeadId head,
                                const std::string& folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed) return make_error(ErrorCode::io, folder + ": cannot make this folder: " + failed.message());
  const std::filesystem::path out = folder;
  const KernelSet& kernels = work.opened.runner->kernels();
  const auto& baseline = work.baseline.run->capture;
  const auto& edited = work.edited.run->capture;
  Pictures pictures;
  const auto done = [&](const std::filesystem::path& path) { pictures.files.push_back(path.string()); };

  SACCADE_TRY(const AttentionMap map, AttentionMap::of(baseline, head, kernels));
  const MapFigure figure{map, 0, map.size(), 0, map.size(), nullptr};
  for (const char* extension : {".png", ".svg", ".pdf"}) {
    const std::filesystem::path grid = out / (std::string("head-grid") + extension);
    SACCADE_CHECK(write_grid_figure(baseline, kernels, nullptr, {}, grid, context.job));
    done(grid);
    const std::filesystem::path one = out / ("head-map-" + to_string(head) + extension);
    SACCADE_CHECK(write_map_figure(figure, {}, one, context.job));
    done(one);
    if (!work.compared) continue;
    const std::filesystem::path both = out / (std::string("comparison") + extension);
    SACCADE_CHECK(write_comparison_figure(*work.compared, *baseline, *edited, {}, both));
    done(both);
  }
  DumpOptions dump;
  dump.sites.reserve(static_cast<size_t>(work.opened.model->spec().n_layer));
  for (int32_t l = 0; l < work.opened.model->spec().n_layer; ++l)
    dump.sites.push_back({HookSite::pattern, l});
  SACCADE_CHECK(write_dump(*baseline, out / "baseline.h5", dump, kernels, context.job));
  done(out / "baseline.h5");
  if (work.compared) {
    SACCADE_CHECK(write_dump(*edited, out / "edited.h5", dump, kernels, context.job));
    done(out / "edited.h5");
  }
  Session session = session_of(work, {});
  session.selection.head = head;
  session.selection.heads = {head};
  SACCADE_CHECK(save_session(session, out / "session.json"));
  done(out / "session.json");
  return pictures;
}

}  // namespace saccade::cli
