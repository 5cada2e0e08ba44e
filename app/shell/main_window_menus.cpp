// The menus, the tool bar and the dialogs of the main window.
#include <QDockWidget>
#include <QFileDialog>
#include <QMenuBar>
#include <QMessageBox>
#include <QSettings>
#include <QToolBar>

#include "analysis/export/figure.h"
#include "analysis/field_slice.h"
#include "app/shell/error_bar.h"
#include "app/shell/found_card.h"
#include "app/shell/main_window.h"
#include "app/shell/theme.h"
#include "app/views/methods/methods_view.h"
#include "app/views/picture/picture_view.h"
#include "app/views/results/results_view.h"
#include "core/run/tensor_ops.h"

namespace saccade {

void MainWindow::build_tool_bar() {
  auto* bar = addToolBar(tr("Main"));
  bar->setObjectName("Main");
  bar->setMovable(false);
  model_button_ = new QToolButton(bar);
  model_button_->setPopupMode(QToolButton::InstantPopup);
  model_button_->setAccessibleName(tr("Model"));
  auto* menu = new QMenu(model_button_);
  menu->addAction(tr("Open folder…"), this, &MainWindow::ask_open_folder);
  add_demos(menu);
  model_button_->setMenu(menu);
  bar->addWidget(model_button_);
  status_ = new QLabel(bar);
  status_->setContentsMargins(10, 0, 10, 0);
  bar->addWidget(status_);
  auto* spacer = new QWidget(bar);
  spacer->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Preferred);
  bar->addWidget(spacer);
  find_ = new QLineEdit(bar);
  find_->setObjectName("find");
  find_->setPlaceholderText(tr("find a head (5.1) or a token  (Ctrl+F)"));
  find_->setAccessibleName(tr("Find a head or a token"));
  find_->setFixedWidth(250);
  find_->setClearButtonEnabled(true);
  connect(find_, &QLineEdit::returnPressed, this, [this] { find(find_->text()); });
  bar->addWidget(find_);
  bar->addSeparator();
  shown_ = new QActionGroup(this);
  const std::pair<QString, QString> choices[] = {
      {tr("A baseline"), tr("Show the run without edits (hold B)")},
      {tr("B edited"), tr("Show the edited run")},
      {tr("B − A"), tr("Show what the edits changed")}};
  for (int i = 0; i < 3; ++i) {
    QAction* action = bar->addAction(choices[i].first);
    action->setCheckable(true);
    action->setToolTip(choices[i].second);
    shown_->addAction(action);
    connect(action, &QAction::triggered, this, [this, i] { workbench_.show_run(static_cast<Shown>(i)); });
  }
}

void MainWindow::add_demos(QMenu* menu) {
  QMenu* demos = menu->addMenu(tr("Demos"));
  const std::pair<const char*, QString> all[] = {
      {"induction", tr("induction: repeats what it has read")},
      {"recall", tr("recall: looks facts up")},
      {"shapes-vit", tr("shapes-vit: counts shapes in a picture")},
      {"shapes-vlm", tr("shapes-vlm: describes a picture, and invents")}};
  for (const auto& [name, title] : all)
    demos->addAction(title, this, [this, demo = std::string(name)] { open_demo(demo); });
}

void MainWindow::build_file_menu() {
  QMenu* file = menuBar()->addMenu(tr("&File"));
  file->addAction(tr("Open model folder…"), QKeySequence::Open, this, &MainWindow::ask_open_folder);
  file->addAction(tr("Open file (session, dump, weights)…"), this, &MainWindow::ask_open_file);
  file->addAction(tr("Open picture…"), QKeySequence("Ctrl+Shift+O"), this, &MainWindow::ask_open_picture);
  recent_ = file->addMenu(tr("Recent"));
  connect(recent_, &QMenu::aboutToShow, this, &MainWindow::fill_recent);
  add_demos(file);
  file->addSeparator();
  file->addAction(tr("Save session…"), QKeySequence::Save, this, &MainWindow::ask_save_session);
  file->addAction(tr("Export head map…"), QKeySequence("Ctrl+Shift+E"), this,
                  [this] { ask_export_figure(FigureKind::map); });
  file->addAction(tr("Export head grid…"), this, [this] { ask_export_figure(FigureKind::grid); });
  file->addAction(tr("Export comparison…"), this, [this] { ask_export_figure(FigureKind::comparison); });
  file->addAction(tr("Export picture with its map…"), this, [this] {
    if (PictureView::concerns(workbench_)) return picture_->ask_export();
    error_bar_->show_error(tr("There is no picture: open a model that reads pictures, and give it one."), {});
  });
  file->addAction(tr("Export HDF5 dump…"), this, &MainWindow::ask_export_dump);
  file->addSeparator();
  file->addAction(tr("Quit"), QKeySequence::Quit, this, &QWidget::close);
}

void MainWindow::build_edit_menu() {
  QMenu* edit = menuBar()->addMenu(tr("&Edit"));
  edit->addAction(tr("Undo"), QKeySequence::Undo, &workbench_, &Workbench::undo);
  edit->addAction(tr("Redo"), QKeySequence("Ctrl+Shift+Z"), &workbench_, &Workbench::redo);
  edit->addSeparator();
  edit->addAction(tr("Zero the selected heads"), QKeySequence("Z"), &workbench_,
                  &Workbench::zero_selected_heads);
  edit->addAction(tr("Isolate the selected heads"), QKeySequence("X"), &workbench_,
                  &Workbench::isolate_selected_heads);
  edit->addAction(tr("Knock out the selected edge"), QKeySequence("K"), this, [this] {
    const Selection& selection = workbench_.selection();
    if (selection.query < 0 || selection.key < 0 || selection.heads.empty())
      return error_bar_->show_error(
          tr("Click a cell of the map first: its edge from query to key is knocked out."), {});
    Edit knockout;
    knockout.verb = EditVerb::knockout;
    knockout.target = target_of(selection.head);
    knockout.query = PositionRange{selection.query, selection.query + 1};
    knockout.key = PositionRange{selection.key, selection.key + 1};
    workbench_.add_edit(knockout);
  });
  edit->addAction(tr("Paste a picture"), this, &MainWindow::paste_picture);
  edit->addAction(tr("Clear all edits"), this, [this] { workbench_.set_edits({}); });
  edit->addSeparator();
  edit->addAction(tr("Find"), QKeySequence::Find, this, [this] {
    find_->setFocus();
    find_->selectAll();
  });
  edit->addAction(tr("Generate"), QKeySequence("Ctrl+G"), &workbench_, &Workbench::generate);
  edit->addAction(tr("Stop all work"), QKeySequence("Esc"), this, [this] {
    if (found_card_->isVisible()) return found_card_->hide();
    workbench_.engine().cancel_all();
    error_bar_->hide();
  });
}

void MainWindow::build_view_menu() {
  QMenu* view = menuBar()->addMenu(tr("&View"));
  for (QDockWidget* dock : findChildren<QDockWidget*>()) view->addAction(dock->toggleViewAction());
  view->addSeparator();
  view->addAction(tr("Back"), QKeySequence("Alt+Left"), &workbench_, &Workbench::back);
  view->addAction(tr("Forward"), QKeySequence("Alt+Right"), &workbench_, &Workbench::forward);
  view->addAction(tr("Next tab"), QKeySequence("Ctrl+Tab"), this,
                  [this] { tabs_->setCurrentIndex((tabs_->currentIndex() + 1) % tabs_->count()); });
  view->addAction(tr("Full screen"), QKeySequence("F11"), this,
                  [this] { isFullScreen() ? showNormal() : showFullScreen(); });
  QMenu* theme = view->addMenu(tr("Theme"));
  theme->addAction(tr("As the system"), this, [] { apply_theme(Theme::system); });
  theme->addAction(tr("Light"), this, [] { apply_theme(Theme::light); });
  theme->addAction(tr("Dark"), this, [] { apply_theme(Theme::dark); });
}

// Every method by its title; choosing one shows its form.
void MainWindow::build_methods_menu() {
  QMenu* menu = menuBar()->addMenu(tr("&Methods"));
  menu->addAction(tr("Choose a method…"), QKeySequence("Ctrl+M"), this, [this] {
    raise_view(methods_);
    if (auto* search = methods_->findChild<QLineEdit*>("method_search")) search->setFocus();
  });
  menu->addAction(tr("Results"), QKeySequence("Ctrl+R"), this, [this] { raise_view(results_); });
  menu->addSeparator();
  for (const AnalysisMethod* method : workbench_.methods()) {
    const QString id = QString::fromStdString(method->info().id);
    QAction* action = menu->addAction(QString::fromStdString(method->info().title), this, [this, id] {
      raise_view(methods_);
      methods_->choose(id);
    });
    action->setToolTip(QString::fromStdString(method->info().summary));
  }
  menu->setToolTipsVisible(true);
}

void MainWindow::build_help_menu() {
  QMenu* help = menuBar()->addMenu(tr("&Help"));
  help->addAction(tr("Keys and gestures"), QKeySequence("F1"), this, &MainWindow::show_shortcuts);
  help->addAction(tr("About"), this, [this] {
    QMessageBox::about(
        this, tr("About Saccade"),
        tr("<b>Saccade</b> %1<br>An instrument for transformer attention.<br><br>%2, attention kernels: %3")
            .arg(SACCADE_VERSION, QString::fromStdString(ops::version()),
                 QString::fromStdString(workbench_.kernels().description)));
  });
}

void MainWindow::show_shortcuts() {
  QMessageBox::information(
      this, tr("Keys and gestures"),
      tr("<table cellpadding=3>"
         "<tr><td><b>Click a head</b></td><td>everything shows it; Ctrl-click adds, drag a box</td></tr>"
         "<tr><td><b>Z</b></td><td>zero the selected heads, again to take it back</td></tr>"
         "<tr><td><b>X</b></td><td>isolate: zero the other heads of their layers</td></tr>"
         "<tr><td><b>K</b></td><td>knock out the selected edge of the map</td></tr>"
         "<tr><td><b>hold B</b></td><td>see the baseline</td></tr>"
         "<tr><td><b>Ctrl+Z, Ctrl+Shift+Z</b></td><td>undo, redo</td></tr>"
         "<tr><td><b>wheel, drag, double-click</b></td><td>on the map: zoom at the pointer, pan, whole "
         "map</td></tr>"
         "<tr><td><b>Shift-drag</b></td><td>on the map: measure a rectangle</td></tr>"
         "<tr><td><b>click a patch, arrows</b></td><td>on the picture: it becomes the query; hover says its "
         "weight</td></tr>"
         "<tr><td><b>Ctrl+V</b></td><td>a picture from the clipboard</td></tr>"
         "<tr><td><b>Alt+Left, Alt+Right</b></td><td>through earlier selections</td></tr>"
         "<tr><td><b>Ctrl+M, Ctrl+R</b></td><td>methods, their results</td></tr>"
         "<tr><td><b>Ctrl+F</b></td><td>find a head or a token</td></tr>"
         "<tr><td><b>Esc</b></td><td>stop all work</td></tr></table>"));
}

void MainWindow::fill_recent() {
  recent_->clear();
  for (const QString& where : QSettings().value("recent").toStringList())
    recent_->addAction(where, this, [this, where] { workbench_.open_anything(where); });
  if (recent_->isEmpty()) recent_->addAction(tr("nothing opened yet"))->setEnabled(false);
}

void MainWindow::ask_open_folder() {
  const QString folder =
      QFileDialog::getExistingDirectory(this, tr("Open a model folder (config.json and its weights)"));
  if (!folder.isEmpty()) workbench_.look_at(folder);
}

void MainWindow::ask_open_file() {
  const QString file = QFileDialog::getOpenFileName(
      this, tr("Open"), {},
      tr("Sessions, dumps, weights (*.json *.h5 *.safetensors *.gguf *.bin *.pt *.pth)"));
  if (!file.isEmpty()) workbench_.open_anything(file);
}

void MainWindow::ask_open_picture() {
  const QStringList files = QFileDialog::getOpenFileNames(
      this, tr("Open pictures"), {}, tr("Pictures (*.png *.jpg *.jpeg *.gif *.webp *.bmp *.tif *.tiff)"));
  workbench_.add_pictures(files);
}

void MainWindow::ask_save_session() {
  const QString file =
      QFileDialog::getSaveFileName(this, tr("Save session"), "session.json", tr("Session (*.json)"));
  if (file.isEmpty()) return;
  if (const auto saved = save_session(workbench_.session(), file.toStdString()); !saved.ok())
    error_bar_->show_error(QString::fromStdString(saved.error().message),
                           QString::fromStdString(saved.error().to_string()));
}

void MainWindow::ask_export_figure(FigureKind kind) {
  const QString file =
      QFileDialog::getSaveFileName(this, tr("Export figure"), "figure.pdf", tr("Figure (*.pdf *.svg *.png)"));
  if (!file.isEmpty()) export_figure(kind, file);
}

void MainWindow::ask_export_dump() {
  const QString file =
      QFileDialog::getSaveFileName(this, tr("Export HDF5 dump"), "dump.h5", tr("HDF5 (*.h5)"));
  if (!file.isEmpty()) workbench_.write_dump(file, "pattern");
}

void MainWindow::export_figure(FigureKind kind, const QString& path) {
  const auto a = workbench_.run_a(), b = workbench_.run_b();
  const auto shown = workbench_.shown_capture();
  if (!shown) return error_bar_->show_error(tr("There is nothing to export yet: run a prompt first."), {});
  if (kind == FigureKind::comparison && !workbench_.comparison())
    return error_bar_->show_error(
        tr("There is nothing to compare yet: add an edit first (select a head and press Z)."), {});
  FigureOptions options;
  options.scale = workbench_.scale();
  const bool difference = workbench_.shown() == Shown::difference;
  std::optional<Field> score;
  if (const HeadColumn* column = workbench_.head_column(workbench_.score_shown())) {
    score = Field{column->name,
                  column->label,
                  column->unit,
                  column->kind,
                  {{AxisKind::layer, "layer", {}}, {AxisKind::head, "head", {}}},
                  column->values,
                  {}};
    if (kind == FigureKind::grid)
      options.scale = scale_of(column->kind, column->values.values(), options.scale.palette);
  }
  const KernelSet& kernels = workbench_.kernels();
  workbench_.engine().submit(
      "export", "Export " + path.toStdString(),
      [this, kind, file = path.toStdString(), a, b, shown, options, difference, score, &kernels,
       head = workbench_.selection().head,
       comparison = workbench_.comparison()](const JobContext& job) -> Result<void> {
        const auto work = [&]() -> Result<void> {
          switch (kind) {
            case FigureKind::grid:
              return write_grid_figure(shown, kernels, score ? &*score : nullptr, options, file, job);
            case FigureKind::comparison:
              return write_comparison_figure(*comparison, *a->capture, *b->capture, options, file);
            case FigureKind::map:
              break;
          }
          SACCADE_TRY(const AttentionMap map, AttentionMap::of(shown, head, kernels));
          SACCADE_TRY(const AttentionMap before, AttentionMap::of(a->capture, head, kernels));
          const MapFigure figure{map, 0, map.size(), 0, map.size(), difference ? &before : nullptr};
          return write_map_figure(figure, options, file, job);
        };
        Result<void> written = work();
        if (!written.ok()) {
          const QString message = QString::fromStdString(written.error().message),
                        details = QString::fromStdString(written.error().to_string());
          QMetaObject::invokeMethod(
              this, [this, message, details] { error_bar_->show_error(message, details); },
              Qt::QueuedConnection);
        }
        return written;
      });
}

}  // namespace saccade
