// Workbench: what the window is about, without any widget. It owns the engine and hands out immutable values;
// views read them, listen to its signals and call its verbs. A click anywhere goes through here, so that
// everything follows one selection.
//
// Thread: the GUI thread only. Work runs on the engine thread and comes back through queued calls; nothing
// here waits. Run A is the baseline (no edits), run B the edited one; without effective edits B is A.
#pragma once

#include <QObject>
#include <QString>
#include <QStringList>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "analysis/colour.h"
#include "analysis/compare.h"
#include "analysis/field.h"
#include "analysis/head_columns.h"
#include "analysis/method.h"
#include "app/shell/found_model.h"
#include "app/shell/kept_result.h"
#include "app/shell/picture_look.h"
#include "core/run/runner.h"
#include "core/session/engine.h"
#include "core/session/session.h"
#include "plugins/host/method_catalogue.h"

namespace saccade {

enum class Shown { baseline, edited, difference };  // A, B, B - A

// One generated continuation, growing while it is streamed.
struct GeneratedText {
  QString text;
  bool running = false;
  QString note;  // "stopped", "end of text", an error
  std::vector<Token> tokens = {};
  // The run over the prompt and these tokens, of requests with pictures: where did each word look? The word i
  // was read from the row of position first_row + i. Null: none was made.
  std::shared_ptr<const Run> run = nullptr;
  int64_t first_row = 0;
};

struct WorkbenchOptions {
  const KernelSet* kernels = nullptr;
  int threads = 0;
  // Every method, those of plugins among them; null = the built-in ones.
  std::shared_ptr<const MethodCatalogue> catalogue = nullptr;
  std::string device = "cpu";  // core/run/device.h
};

struct EngineSide;
struct MadeRuns;

class Workbench : public QObject {
  Q_OBJECT
 public:
  explicit Workbench(const WorkbenchOptions& options, QObject* parent = nullptr);
  ~Workbench() override;

  [[nodiscard]] const MethodCatalogue& catalogue() const { return *options_.catalogue; }
  // What is there now; null or empty until it has been made.
  [[nodiscard]] std::shared_ptr<const Model> model() const { return model_; }
  [[nodiscard]] std::shared_ptr<const Run> run_a() const { return run_a_; }
  [[nodiscard]] std::shared_ptr<const Run> run_b() const { return run_b_; }
  // The capture that maps are drawn from: A, or B when B or B - A is shown.
  [[nodiscard]] std::shared_ptr<const Capture> shown_capture() const;
  [[nodiscard]] Shown shown() const { return shown_; }
  [[nodiscard]] bool edited() const { return run_b_ && run_a_ && run_b_ != run_a_; }
  [[nodiscard]] bool answer_is_stale() const { return stale_; }  // a newer run is on its way
  [[nodiscard]] const std::optional<Comparison>& comparison() const { return comparison_; }
  // head-table of the shown run: fields [layer, head].
  [[nodiscard]] const std::optional<AnalysisResult>& head_scores() const { return head_scores_; }
  // One number per head, from wherever there is one: head-table's fields first, then the columns of results,
  // newest first. A column's key is its name here.
  [[nodiscard]] const std::vector<HeadColumn>& head_columns() const { return columns_; }
  [[nodiscard]] const HeadColumn* head_column(const QString& key) const;  // null: there is none now
  [[nodiscard]] const QString& score_shown() const { return score_; }     // a key; empty = thumbnails
  // Every method that can be run, sorted by id.
  [[nodiscard]] std::span<const AnalysisMethod* const> methods() const;
  // What methods have given in this session, newest first; and those of the session file, to be run again.
  [[nodiscard]] const std::vector<KeptResult>& results() const { return results_; }
  [[nodiscard]] const KeptResult* result(int number) const;
  [[nodiscard]] int result_shown() const { return result_shown_; }      // 0 = none
  [[nodiscard]] int finding_result() const { return finding_result_; }  // whose the finding is; 0 = a head's
  // Whether a result's heads are heads of the model that is open.
  [[nodiscard]] bool is_about_model(const KeptResult& result) const;
  [[nodiscard]] const Selection& selection() const { return selection_; }
  [[nodiscard]] const ColourScale& scale() const { return scale_; }
  [[nodiscard]] const EditHistory& edits() const { return history_; }
  [[nodiscard]] const QString& prompt() const { return prompt_; }
  [[nodiscard]] bool add_bos() const { return add_bos_; }
  // Pictures of the request, in the order of their places in the prompt; and those run_a() was made with.
  [[nodiscard]] const std::vector<GivenPicture>& pictures() const { return pictures_; }
  [[nodiscard]] const std::vector<GivenPicture>& run_pictures() const { return run_pictures_; }
  // Whether the model reads pictures; whether it reads nothing else and has none.
  [[nodiscard]] bool takes_pictures() const { return model_ && model_->spec().reads_pictures(); }
  [[nodiscard]] bool reads_only_pictures() const { return model_ && model_->spec().is_picture_model(); }
  [[nodiscard]] bool lacks_picture() const { return reads_only_pictures() && pictures_.empty(); }
  [[nodiscard]] const PictureLook& picture_look() const { return picture_look_; }
  // The generated text that belongs to the run shown.
  [[nodiscard]] const GeneratedText& text_shown() const {
    return shown_ == Shown::baseline || !edited() ? text_a_ : text_b_;
  }
  [[nodiscard]] const SamplingOptions& sampling() const { return sampling_; }
  [[nodiscard]] const GeneratedText& text_a() const { return text_a_; }
  [[nodiscard]] const GeneratedText& text_b() const { return text_b_; }
  [[nodiscard]] const QString& finding() const { return finding_; }
  [[nodiscard]] const FoundModel& found() const { return found_; }  // null model: nothing was looked at
  [[nodiscard]] const KernelSet& kernels() const { return *options_.kernels; }
  [[nodiscard]] const std::string& device() const { return options_.device; }
  [[nodiscard]] Engine& engine() { return *engine_; }

  // Verbs.
  void look_at(const QString& where);  // reads what a checkpoint is; model_found() or failed()
  void use_found();                    // opens what was found last
  void open_model(const QString& where);
  void set_prompt(const QString& text, bool add_bos);
  void select_head(HeadId head, bool toggle = false);  // toggle adds to or takes from the set
  void select_heads(const std::vector<HeadId>& heads);
  // Of what a table, a picture or a circuit names: heads the model lacks are left out; none changes nothing.
  void select_known_heads(const std::vector<HeadId>& heads);
  void select_tokens(int query, int key);  // -1 = none
  void select_word(int word);              // of the generated text; -1 = none
  // Reads files and adds them to the request; a model that reads one picture alone takes the last of them.
  // Files that are no pictures, and pictures for a model of text, are refused and change nothing.
  void add_pictures(const QStringList& paths);
  void add_picture(GivenPicture picture);  // read already, as a pasted one
  void remove_picture(int index);
  void set_picture_look(const PictureLook& look);
  void set_edits(std::vector<Edit> edits, const QString& coalesce_tag = {});
  void add_edit(const Edit& edit);
  void zero_selected_heads();     // "Z"; zeroing what is zeroed takes the edit away
  void isolate_selected_heads();  // "X": zero every other head of the selected heads' layers
  void undo();
  void redo();
  void show_run(Shown shown);
  void set_scale(const ColourScale& scale);
  void set_score(const QString& field_name);
  void set_sampling(const SamplingOptions& sampling);
  // Runs a method on the run shown; parameters need not be complete. Gives the number of the result to come,
  // or 0 and method_refused().
  int run_method(const QString& id, const nlohmann::json& parameters);
  void run_again(int number);
  void stop_method(int number);  // what it has so far is kept
  void stop_methods();
  void show_result(int number);
  void remove_result(int number);
  int add_result(KeptResult kept);  // one that was made elsewhere; gives its number here
  void generate();                  // A and B, one after the other, streamed
  void back();                      // through earlier selections
  void forward();
  void write_dump(const QString& path, const QString& sites);
  // Writes a figure or a table on the engine thread; a failure is shown like any other.
  void write_file(const QString& path, std::function<Result<void>(const JobContext&)> write);
  void open_dump(const QString& path);  // shows a capture without its model
  [[nodiscard]] Session session() const;
  void restore(const Session& session);
  // What a drop or the command line gives: opens a dump or a session file; looks at a folder or a checkpoint,
  // and where no model is open yet, opens it.
  void open_anything(const QString& path);

 Q_SIGNALS:
  void model_changed();
  void runs_changed();  // run_a, run_b, comparison, shown, staleness
  void selection_changed();
  void edits_changed();
  void scale_changed();                            // colours: scale(), picture_look()
  void pictures_changed();                         // pictures()
  void picture_raised();                           // somebody asked for a map over the picture
  void place_missing(const QString& placeholder);  // comes after failed(): what to write for one more picture
  void scores_changed();
  void generation_changed();
  void jobs_changed();
  void finding_changed();
  void results_changed();          // which there are, what they hold, which is shown
  void result_raised(int number);  // somebody asked to see it
  void method_refused(const QString& id, const QString& message);  // why there is no result, what to do
  void model_found();                                              // found(), to be used or not
  void failed(const QString& message, const QString& details);     // dismissible; earlier state is intact
  void other_way_found(const QString& where);  // comes after failed(): what open_model() would take instead

 private:
  struct Private;
  void post_refusal(const std::string& where, const Error& error);  // any thread
  void adopt_model(const std::shared_ptr<EngineSide>& side);
  void adopt_runs(const MadeRuns& made);
  void request_runs();
  void take_pictures(std::vector<GivenPicture> read);
  void offer_place();
  void request_scores();
  void remember_selection();
  void update_finding();
  void update_columns();
  void keep_result(int number, std::shared_ptr<const AnalysisResult> result, bool running, double seconds);
  void drop_running(int number, const Error& error);
  KeptResult* find_result(int number);
  [[nodiscard]] std::vector<SessionAnalysis> analyses() const;
  void offer_analyses(const std::vector<SessionAnalysis>& analyses);

  std::unique_ptr<Private> d_;
  WorkbenchOptions options_;
  std::unique_ptr<Engine> engine_;
  std::shared_ptr<const Model> model_;
  std::shared_ptr<const Run> run_a_, run_b_;
  Shown shown_ = Shown::baseline;
  bool stale_ = false;
  std::optional<Comparison> comparison_;
  std::optional<AnalysisResult> head_scores_;
  std::vector<HeadColumn> columns_;
  QString score_;
  std::vector<KeptResult> results_;
  int result_shown_ = 0, finding_result_ = 0;
  Selection selection_;
  ColourScale scale_;
  EditHistory history_;
  QString prompt_;
  std::vector<GivenPicture> pictures_, run_pictures_;
  PictureLook picture_look_;
  bool add_bos_ = true;
  SamplingOptions sampling_;
  AnswerContrast contrast_;  // of the session; what answers are steered away from
  GeneratedText text_a_, text_b_;
  QString finding_;
  FoundModel found_;
};

}  // namespace saccade
