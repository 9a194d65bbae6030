using AgentPlatform;
using AgentPlatform.Console;
using AgentPlatform.Functions;
using AgentPlatform.Postgres;

var builder = FunctionsApplication.CreateBuilder(args);
builder.ConfigureFunctionsWebApplication();
builder.UseMiddleware<JobMiddleware>();
builder.Services.AddAgentPlatform(builder.Configuration);
builder.Services.AddDatabaseCheck();
builder.Services.AddConsole();
builder.Services.AddSingleton<Pipelines>();
builder.Services.AddDurableWorkflows();
builder.Build().Run();
