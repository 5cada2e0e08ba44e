#include "app/shell/main_window.h"

#include <QApplication>
#include <QClipboard>
#include <QCloseEvent>
#include <QCryptographicHash>
#include <QDir>
#include <QDockWidget>
#include <QDragEnterEvent>
#include <QFile>
#include <QMimeData>
#include <QPainter>
#include <QSettings>
#include <QSpinBox>
#include <QStandardPaths>
#include <QStatusBar>
#include <QTextEdit>
#include <QVBoxLayout>

#include "app/shell/error_bar.h"
#include "app/shell/found_card.h"
#include "app/views/answer/answer_view.h"
#include "app/views/arcs/arcs_view.h"
#include "app/views/circuit/circuit_view.h"
#include "app/views/edits/edits_view.h"
#include "app/views/head_grid/head_grid_view.h"
#include "app/views/head_map/head_map_view.h"
#include "app/views/head_map/map_canvas.h"
#include "app/views/heads_table/heads_table_view.h"
#include "app/views/jobs/jobs_strip.h"
#include "app/views/methods/methods_view.h"
#include "app/views/picture/picture_view.h"
#include "app/views/prompt/prompt_view.h"
#include "app/views/results/results_view.h"
#include "app/views/scatter/scatter_view.h"
#include "core/base/memory.h"
#include "core/session/sample_prompts.h"

namespace saccade {
namespace {

QString session_file() {
  return QDir(QStandardPaths::writableLocation(QStandardPaths::AppDataLocation))
      .filePath("last-session.json");
}

// A picture without a file (pasted, dragged from a browser) is kept as one, so that sessions can name it.
void add_image(Workbench& workbench, const QImage& image, ErrorBar* errors) {
  if (image.isNull()) return;
  const QImage rgb = image.convertToFormat(QImage::Format_RGB888);
  Picture picture{rgb.width(), rgb.height(), {}, {}};
  for (int y = 0; y < rgb.height(); ++y)
    picture.rgb.insert(picture.rgb.end(), rgb.constScanLine(y),
                       rgb.constScanLine(y) + qsizetype{3} * rgb.width());
  const auto digest =
      QCryptographicHash::hash(QByteArrayView(picture.rgb.data(), static_cast<qsizetype>(picture.rgb.size())),
                               QCryptographicHash::Md5);
  const QDir folder(
      QDir(QStandardPaths::writableLocation(QStandardPaths::AppDataLocation)).filePath("pictures"));
  const QString name = QStringLiteral("pasted-%1.png").arg(QString::fromLatin1(digest.toHex().left(8)));
  picture.name = name.toStdString();
  if (!folder.mkpath(".") || !rgb.save(folder.filePath(name)))
    return errors->show_error(
        QObject::tr("The picture cannot be kept in %1: is the disk full?").arg(folder.path()), {});
  workbench.add_picture({folder.filePath(name), std::make_shared<const Picture>(std::move(picture))});
}

bool takes_text(const QWidget* widget) {
  return qobject_cast<const QLineEdit*>(widget) || qobject_cast<const QTextEdit*>(widget) ||
         qobject_cast<const QPlainTextEdit*>(widget) || qobject_cast<const QAbstractSpinBox*>(widget);
}

}  // namespace

MainWindow::MainWindow(const WorkbenchOptions& options, QWidget* parent)
    : QMainWindow(parent), workbench_(options) {
  setWindowTitle("Saccade");
  setAcceptDrops(true);
  setDockNestingEnabled(true);
  resize(1600, 1000);
  build_views();
  build_tool_bar();
  build_file_menu();
  build_edit_menu();
  build_view_menu();
  build_methods_menu();
  build_help_menu();
  qApp->installEventFilter(this);
  connect(&workbench_, &Workbench::failed, error_bar_, &ErrorBar::show_error);
  connect(&workbench_, &Workbench::other_way_found, this, [this](const QString& where) {
    error_bar_->offer(tr("Open as %1").arg(where.section(':', 1, 1)),
                      [this, where] { workbench_.look_at(where); });
  });
  connect(&workbench_, &Workbench::place_missing, this, [this](const QString& placeholder) {
    error_bar_->offer(tr("Put %1 into the prompt").arg(placeholder),
                      [this, placeholder] { prompt_->put_place(placeholder); });
  });
  connect(prompt_, &PromptView::open_asked, this, &MainWindow::ask_open_picture);
  connect(picture_, &PictureView::open_asked, this, &MainWindow::ask_open_picture);
  for (const auto signal :
       {&Workbench::model_changed, &Workbench::pictures_changed, &Workbench::runs_changed})
    connect(&workbench_, signal, this, &MainWindow::show_picture_tab);
  connect(&workbench_, &Workbench::picture_raised, this, [this] { raise_view(picture_); });
  connect(&workbench_, &Workbench::model_found, this, [this] {
    error_bar_->hide();
    found_card_->show_found(workbench_.found());
  });
  connect(found_card_, &FoundCard::accepted, &workbench_, &Workbench::use_found);
  connect(&workbench_, &Workbench::model_changed, this, [this] {
    error_bar_->hide();
    found_card_->hide();
    if (workbench_.model()) remember_recent(QString::fromStdString(workbench_.model()->where()));
    update_status();
  });
  connect(&workbench_, &Workbench::runs_changed, this, &MainWindow::update_status);
  connect(&workbench_, &Workbench::result_raised, this, [this] { raise_view(results_); });
  connect(&workbench_, &Workbench::method_refused, this, [this](const QString&, const QString& message) {
    if (!methods_->isVisible()) error_bar_->show_error(message, message);
  });
  update_status();
}

void MainWindow::build_views() {
  auto* centre = new QWidget(this);
  auto* layout = new QVBoxLayout(centre);
  layout->setContentsMargins(4, 4, 4, 0);
  layout->setSpacing(4);
  error_bar_ = new ErrorBar(centre);
  layout->addWidget(error_bar_);
  found_card_ = new FoundCard(centre);
  layout->addWidget(found_card_);
  tabs_ = new QTabWidget(centre);
  tabs_->setDocumentMode(true);
  map_ = new HeadMapView(workbench_);
  arcs_ = new ArcsView(workbench_);
  tabs_->addTab(map_, tr("Map"));
  tabs_->addTab(arcs_, tr("Arcs"));
  circuit_ = new CircuitView(workbench_);
  scatter_ = new ScatterView(workbench_);
  tabs_->addTab(circuit_, tr("Circuit"));
  tabs_->addTab(scatter_, tr("Scatter"));
  picture_ = new PictureView(workbench_);
  picture_->setParent(this);  // no tab yet
  picture_->hide();
  layout->addWidget(tabs_, 1);
  setCentralWidget(centre);
  prompt_ = new PromptView(workbench_);
  edits_ = new EditsView(workbench_);
  answer_ = new AnswerView(workbench_);
  heads_ = new HeadsTableView(workbench_);
  grid_ = new HeadGridView(workbench_);
  methods_ = new MethodsView(workbench_);
  results_ = new ResultsView(workbench_);
  setCorner(Qt::BottomLeftCorner, Qt::LeftDockWidgetArea);
  setCorner(Qt::BottomRightCorner, Qt::RightDockWidgetArea);
  QDockWidget* prompt = add_dock(tr("Prompt"), prompt_, Qt::LeftDockWidgetArea);
  QDockWidget* edits = add_dock(tr("Edits"), edits_, Qt::LeftDockWidgetArea);
  QDockWidget* methods = add_dock(tr("Methods"), methods_, Qt::LeftDockWidgetArea);
  tabifyDockWidget(edits, methods);
  edits->raise();
  QDockWidget* answer = add_dock(tr("Answer"), answer_, Qt::RightDockWidgetArea);
  QDockWidget* heads = add_dock(tr("Heads"), heads_, Qt::RightDockWidgetArea);
  QDockWidget* results = add_dock(tr("Results"), results_, Qt::RightDockWidgetArea);
  tabifyDockWidget(heads, results);
  heads->raise();
  QDockWidget* grid = add_dock(tr("Head grid"), grid_, Qt::BottomDockWidgetArea);
  resizeDocks({prompt, answer}, {330, 430}, Qt::Horizontal);
  resizeDocks({prompt, edits}, {380, 480}, Qt::Vertical);
  resizeDocks({answer, heads}, {480, 400}, Qt::Vertical);
  resizeDocks({grid}, {290}, Qt::Vertical);
  statusBar()->addWidget(new JobsStrip(workbench_, this), 1);
  statusBar()->setSizeGripEnabled(false);
}

QDockWidget* MainWindow::add_dock(const QString& title, QWidget* view, Qt::DockWidgetArea area) {
  auto* dock = new QDockWidget(title, this);
  dock->setObjectName(title);
  dock->setWidget(view);
  dock->setFeatures(QDockWidget::DockWidgetMovable | QDockWidget::DockWidgetFloatable |
                    QDockWidget::DockWidgetClosable);
  addDockWidget(area, dock);
  return dock;
}

void MainWindow::raise_view(QWidget* view) {
  if (tabs_->indexOf(view) >= 0) return tabs_->setCurrentWidget(view);
  auto* dock = qobject_cast<QDockWidget*>(view->parentWidget());
  if (!dock) return;
  dock->show();
  dock->raise();
}

void MainWindow::update_status() {
  const auto model = workbench_.model();
  const auto run = workbench_.run_b();
  model_button_->setText(model ? QString::fromStdString(model->name())
                         : run ? tr("a dump")
                               : tr("Open a model"));
  setWindowTitle(model ? QStringLiteral("%1 – Saccade").arg(QString::fromStdString(model->name()))
                       : QStringLiteral("Saccade"));
  QString text;
  if (model)
    text = tr("%1 layers × %2 heads · %4, f32 · %3")
               .arg(model->spec().n_layer)
               .arg(model->spec().n_head)
               .arg(QString::fromStdString(workbench_.kernels().name),
                    QString::fromStdString(workbench_.device()));
  if (run)
    text += tr(" · %1 tokens · captures %2 · %3 resident")
                .arg(run->capture->n_token())
                .arg(QString::fromStdString(format_bytes(run->capture->bytes())),
                     QString::fromStdString(format_bytes(resident_bytes())));
  if (!model && !run) text = tr("drop a model folder here, or press Ctrl+O");
  status_->setText(text);
  const int shown = static_cast<int>(workbench_.shown());
  const QList<QAction*> actions = shown_->actions();
  for (int i = 0; i < actions.size(); ++i) {
    actions[i]->setEnabled(i == 0 ? run != nullptr : workbench_.edited());
    actions[i]->setChecked(i == shown);
  }
}

void MainWindow::open_last() {
  if (QFile::exists(session_file())) {
    const auto session = load_session(session_file().toStdString());
    if (session.ok() && !session->model.empty()) return workbench_.restore(*session);
  }
  open_demo();
}

void MainWindow::open_demo(const std::string& name) {
  Session session;
  session.model = "demo:" + name;
  if (const auto prompts = sample_prompts(name); prompts.ok()) {
    session.prompt = prompts->front().text;
    if (!prompts->front().image.empty()) session.images = {prompts->front().image};
  }
  workbench_.restore(session);
}

bool MainWindow::settled() const {
  const bool grid = !grid_->isVisible() || grid_->complete();
  if (workbench_.lacks_picture()) return const_cast<Workbench&>(workbench_).engine().idle();
  return workbench_.run_b() && !workbench_.answer_is_stale() && workbench_.head_scores() &&
         map_->complete() && grid && const_cast<Workbench&>(workbench_).engine().idle();
}

void MainWindow::paste_picture() {
  const QMimeData* clipboard = QApplication::clipboard()->mimeData();
  QStringList files;
  for (const QUrl& url : clipboard->urls())
    if (url.isLocalFile() && is_picture_file(url.toLocalFile())) files << url.toLocalFile();
  if (!files.isEmpty()) return workbench_.add_pictures(files);
  if (clipboard->hasImage())
    return add_image(workbench_, qvariant_cast<QImage>(clipboard->imageData()), error_bar_);
  error_bar_->show_error(tr("The clipboard holds no picture: copy one first."), {});
}

// QWidget::grab() puts what a QPainter draws in an OpenGL widget below its OpenGL: the map is taken by
// itself.
QImage MainWindow::picture() {
  QImage image = grab().toImage();
  if (MapCanvas* canvas = map_->canvas(); canvas && canvas->isVisible()) {
    QPainter painter(&image);
    painter.drawImage(canvas->mapTo(this, QPoint()), canvas->grabFramebuffer());
  }
  return image;
}

// "5.1" selects a head; anything else goes to the next token that holds it.
void MainWindow::find(const QString& text) {
  const auto run = workbench_.run_b();
  if (!run || text.trimmed().isEmpty()) return;
  if (const auto head = parse_head(text.trimmed().toStdString()); head.ok()) {
    const ModelSpec& spec = run->capture->spec;
    if (head->layer.value < spec.n_layer && head->head.value < spec.n_head)
      return workbench_.select_head(*head);
    return error_bar_->show_error(tr("There is no head %1: layers 0–%2, heads 0–%3.")
                                      .arg(text)
                                      .arg(spec.n_layer - 1)
                                      .arg(spec.n_head - 1),
                                  {});
  }
  const auto& tokens = run->capture->tokens;
  const auto n = static_cast<int>(tokens.size());
  const int from = std::max(workbench_.selection().query, -1);
  for (int i = 1; i <= n; ++i) {
    const int at = (from + i) % n;
    if (QString::fromStdString(tokens[static_cast<size_t>(at)].text)
            .contains(text.trimmed(), Qt::CaseInsensitive))
      return workbench_.select_tokens(at, workbench_.selection().key);
  }
  statusBar()->showMessage(tr("no token holds “%1”").arg(text), 3000);
}

void MainWindow::closeEvent(QCloseEvent* event) {
  if (remember_session_ && workbench_.model()) {
    QDir().mkpath(QFileInfo(session_file()).absolutePath());
    (void)save_session(workbench_.session(), session_file().toStdString()).ok();
  }
  QMainWindow::closeEvent(event);
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event) {
  if (event->mimeData()->hasUrls() || event->mimeData()->hasImage()) event->acceptProposedAction();
}

// The first tab where there is something to show in it, and shown when it comes.
void MainWindow::show_picture_tab() {
  const bool wanted = PictureView::concerns(workbench_);
  const int at = tabs_->indexOf(picture_);
  if (wanted == (at >= 0)) return;
  if (wanted) {
    tabs_->insertTab(0, picture_, tr("Picture"));
    tabs_->setCurrentIndex(0);
  } else {
    tabs_->removeTab(at);
    picture_->setParent(this);
    picture_->hide();
  }
}

void MainWindow::dropEvent(QDropEvent* event) {
  if (!event->mimeData()->hasUrls() && event->mimeData()->hasImage())
    return add_image(workbench_, qvariant_cast<QImage>(event->mimeData()->imageData()), error_bar_);
  QStringList pictures;
  for (const QUrl& url : event->mimeData()->urls())
    if (url.isLocalFile() && is_picture_file(url.toLocalFile())) pictures << url.toLocalFile();
  if (!pictures.isEmpty()) return workbench_.add_pictures(pictures);
  for (const QUrl& url : event->mimeData()->urls())
    if (url.isLocalFile()) return workbench_.open_anything(url.toLocalFile());
}

// Holding B shows the baseline; keys are left alone where text is typed.
bool MainWindow::eventFilter(QObject* watched, QEvent* event) {
  if (event->type() == QEvent::KeyPress || event->type() == QEvent::KeyRelease) {
    const auto* key = static_cast<QKeyEvent*>(event);
    const bool typing =
        takes_text(QApplication::focusWidget()) || takes_text(qobject_cast<QWidget*>(watched));
    if (event->type() == QEvent::KeyPress && key->matches(QKeySequence::Paste) && isActiveWindow() &&
        workbench_.takes_pictures() && watched->isWidgetType()) {
      const QMimeData* clipboard = QApplication::clipboard()->mimeData();
      if (clipboard->hasImage() && (!typing || !clipboard->hasText())) {
        paste_picture();
        return true;
      }
    }
    if (key->key() == Qt::Key_B && key->modifiers() == Qt::NoModifier && !typing) {
      if (key->isAutoRepeat()) return true;
      if (event->type() == QEvent::KeyPress && !held_ && workbench_.edited()) {
        held_ = workbench_.shown();
        workbench_.show_run(Shown::baseline);
        return true;
      }
      if (event->type() == QEvent::KeyRelease && held_) {
        workbench_.show_run(*std::exchange(held_, std::nullopt));
        return true;
      }
    }
  }
  return QMainWindow::eventFilter(watched, event);
}

void MainWindow::remember_recent(const QString& where) {
  if (!remember_session_) return;
  QSettings settings;
  QStringList recent = settings.value("recent").toStringList();
  recent.removeAll(where);
  recent.prepend(where);
  settings.setValue("recent", recent.mid(0, 10));
}

}  // namespace saccade
