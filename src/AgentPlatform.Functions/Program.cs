using AgentPlatform;
using AgentPlatform.Functions;

var builder = FunctionsApplication.CreateBuilder(args);
builder.ConfigureFunctionsWebApplication();
builder.Services.AddAgentPlatform(builder.Configuration);
builder.Services.AddSingleton<Pipelines>();
builder.Build().Run();
